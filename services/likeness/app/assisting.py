"""A second process for a modality that gains by one: what it runs, and with what."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from likeness import __version__
from likeness.app.loading import assistant_bytes, is_assisted
from likeness.app.settings import Settings
from likeness.domain.deadline import Deadline
from likeness.domain.errors import Exhausted
from likeness.domain.modality import Modality
from likeness.domain.samples import Extraction, Mode, Sample
from likeness.engine.entry import ModalityEntry, ModalitySettings, Resources
from likeness.imaging.decode import DecodeLimits
from likeness.imaging.headers import Reason
from likeness.imaging.memory import MemoryBudget
from likeness.inference.concurrency.assistant import Assistant
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.catalogue import Catalogue
from likeness.telemetry import logs, metrics, standard_error

Task = tuple[Sample, Mode]
"""What an assistant is given: one sample to extract."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What the other process loads and runs; crosses to it by pickle."""

    entry: ModalityEntry[Any, Any]
    section: ModalitySettings
    home: Path
    max_sample_bytes: int
    max_pixels: int
    max_bytes: int
    log_level: str

    @property
    def identity(self) -> str:
        """What samples are extracted with: release, models' versions, and a digest of their manifests."""
        catalogue = Catalogue.standard(self.home)
        used = [catalogue.get(name) for name in self.entry.models(self.section)]
        digest = hashlib.sha256("".join(one.model_dump_json() for one in used).encode()).hexdigest()
        return f"{' and '.join(one.label for one in used)} (manifests {digest[:16]}) by {__version__}"


def assistant_for(entry: ModalityEntry[Any, Any], settings: Settings) -> Assistant[Task, Extraction] | None:
    """An assistant for a modality, not started yet, where it gains by one and the settings allow it.

    Raises:
        NotFound: no manifest has the id of a model that the settings name.
    """
    if not is_assisted(entry, settings):
        return None
    work = _Work(
        entry,
        settings.of(entry),
        settings.home,
        max_sample_bytes=settings.grpc.max_sample_bytes,
        max_pixels=settings.decoding.max_pixels,
        max_bytes=assistant_bytes(settings),
        log_level=settings.log.level,
    )
    return Assistant(
        partial(_extractor, work),
        identity=work.identity,
        name=entry.name,
        observe=metrics.assistant(entry.name),
    )


_for_life = ExitStack()
"""What lasts until a process of the assistant ends."""


def _extractor(work: _Work) -> tuple[str, Callable[[Task, Deadline], Extraction]]:
    """What the assistant runs, in its own process, to its end."""
    _for_life.enter_context(standard_error.collected())
    logs.configure(work.log_level)
    limits = DecodeLimits(
        max_bytes=work.max_sample_bytes, max_pixels=work.max_pixels, memory=MemoryBudget(work.max_bytes)
    )
    modality = work.entry.load(work.section, Resources(work.home, Turns(1), limits), None)
    modality.warm()
    return work.identity, partial(_extract_within, modality)


def _extract_within(modality: Modality, task: Task, deadline: Deadline) -> Extraction:
    """Extract one sample in the assistant's part of the memory.

    Raises:
        Exhausted: it needs more, which the other process may have.
    """
    sample, mode = task
    (found,) = modality.extract([sample], mode, deadline)
    if found.rejection is not None and found.rejection.reason == Reason.IMAGE_TOO_LARGE:
        raise Exhausted(found.rejection.message, reason=found.rejection.reason)
    return found
