"""What a modality offers to the engine, which never asks which one it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from likeness.domain.answers import Score
from likeness.domain.calibration import Calibration
from likeness.domain.samples import Extraction, Mode, Sample, Template


@dataclass(frozen=True, slots=True)
class TemplateSpace:
    """A space in which templates may be compared: its id and the dimension of its shortlist vectors.

    Shortlist vectors are compared by inner product; a space whose vectors are L2-normalised thus uses cosine.
    """

    space_id: str
    dimension: int


class Modality(Protocol):
    """Face, fingerprint or object, behind one face."""

    @property
    def name(self) -> str:
        """`face`, `fingerprint` or `object`."""

    @property
    def space(self) -> TemplateSpace:
        """The space that this modality's templates live in."""

    @property
    def model(self) -> str:
        """The version of the models in use, as written into templates and answers."""

    @property
    def calibration(self) -> Calibration | None:
        """The measured table from score to false match rate, or None where none was measured."""

    def extract(self, samples: Sequence[Sample], mode: Mode) -> list[Extraction]:
        """One extraction per sample, in order; a bad sample is rejected with its reason, never raised."""

    def shortlist(self, k: int) -> int:
        """How many references the exact comparison needs from the index to find the best `k`."""

    def compare(self, probe: Template, candidates: Sequence[Template]) -> list[Score]:
        """The comparison score of the probe with each candidate, in order."""

    def explain(self, probe: Sample, candidate: Sample) -> bytes:
        """A PNG that shows a person what was compared."""

    def warm(self) -> None:
        """Run every model once, so that the first request finds them ready."""
