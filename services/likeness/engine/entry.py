"""What a modality offers to the composition of a process: its name, its settings, and how it is loaded.

Entries are read by every command, so their modules import what is heavy only where they load it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from likeness.domain.calibration import Calibration
from likeness.domain.modality import Modality
from likeness.domain.samples import Extraction, Mode, Sample
from likeness.domain.text import named, unprintable_at

if TYPE_CHECKING:
    from likeness.imaging.decode import DecodeLimits
    from likeness.inference.concurrency.assistant import Assistant
    from likeness.inference.concurrency.turns import Turns


class Section(BaseModel):
    """A section of the settings. Immutable; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*")
    @classmethod
    def _printable(cls, value: Any) -> Any:
        """Paths too: a database may take no name that is not UTF-8, and every one is printed and logged."""
        at = unprintable_at(str(value)) if isinstance(value, str | Path) else None
        if at is not None:
            raise ValueError(
                f"it holds {named(str(value)[at])} at position {at + 1}; give plain text in UTF-8"
            )
        return value


class ModalitySettings(Section):
    """What every modality has in its section; a modality adds its own."""

    calibration: Path | None = Field(
        default=None, description="Calibration file; unset means the one that belongs to what is shipped."
    )


@dataclass(frozen=True, slots=True)
class SampleWords:
    """What a modality's samples are called, and which files hold them.

    Attributes:
        sample: what is sent, such as `photograph`.
        presentation: what is found in it, such as `face`.
        endings: of the files that are taken from folders, in lower case, with the dot.
        picture: whether a sample is itself a picture.
    """

    sample: str
    presentation: str
    endings: frozenset[str]
    picture: bool = True


@dataclass(frozen=True, slots=True)
class Resources:
    """What a process gives to each modality that it loads.

    Attributes:
        home: the folder of the process, which may hold models of its owner.
        turns: one budget of computing for all modalities.
        limits: what a photograph may cost, and the memory that all of them share.
        assistant: another process that takes a part of the samples; None where there is none.
    """

    home: Path
    turns: Turns
    limits: DecodeLimits
    assistant: Assistant[tuple[Sample, Mode], Extraction] | None = None


LoadedT = TypeVar("LoadedT", bound=Modality)
SettingsT = TypeVar("SettingsT", bound=ModalitySettings)


def _without_models(_: Any) -> tuple[str, ...]:
    return ()


def _without_assistant(_: Any) -> bool:
    return False


@dataclass(frozen=True)
class ModalityEntry(Generic[LoadedT, SettingsT]):
    """One modality, as a process composes it. Its functions are those of modules, so that it can be pickled.

    Attributes:
        name: as on the wire, in the store and as the name of its section of the settings.
        settings: the type of its section.
        words: what people call its samples.
        load: makes the modality; without a calibration, scores are not rated.
        calibration: its table from score to false match rate, from the settings and the home; None where its models
            are the owner's and name none. Raises InvalidInput if one that is set or shipped is missing.
        models: the ids of the manifests that it runs.
        assisted: whether it gains by a second process, and the settings allow one.
    """

    name: str
    settings: type[SettingsT]
    words: SampleWords
    load: Callable[[SettingsT, Resources, Calibration | None], LoadedT]
    calibration: Callable[[SettingsT, Path], Calibration | None]
    models: Callable[[SettingsT], tuple[str, ...]] = _without_models
    assisted: Callable[[SettingsT], bool] = _without_assistant
