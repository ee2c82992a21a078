"""From settings to loaded modalities, each with the calibration that belongs to it."""

from __future__ import annotations

import logging
from functools import cache

from likeness.app.settings import Settings
from likeness.domain.samples import Extraction, Mode, Sample
from likeness.engine.entry import LoadedT, ModalityEntry, Resources, SettingsT
from likeness.imaging.decode import DecodeLimits
from likeness.imaging.memory import MemoryBudget
from likeness.inference.concurrency.assistant import Assistant
from likeness.inference.concurrency.threads import plan_threads
from likeness.inference.concurrency.turns import Turns
from likeness.telemetry import logs

_ASSISTANT_PART = 8
"""One part in so many of the memory for decoding is the assistants', which decode one photograph at a time: with
the default a JPEG of 9 million pixels."""

_logger = logging.getLogger(__name__)


def load(
    entry: ModalityEntry[LoadedT, SettingsT],
    settings: Settings,
    turns: Turns,
    *,
    calibrated: bool = True,
    assistant: Assistant[tuple[Sample, Mode], Extraction] | None = None,
) -> LoadedT:
    """One modality; a model of the owner's without a calibration is reported in the log.

    Args:
        entry: of the modality.
        settings: of the process.
        turns: one budget of computing, the same for all modalities of the process.
        calibrated: False leaves scores unrated.
        assistant: another process that takes a part of the samples.

    Raises what the entry raises.
    """
    section = settings.of(entry)
    calibration = entry.calibration(section, settings.home) if calibrated else None
    modality = entry.load(
        section, Resources(settings.home, turns, limits_of(settings), assistant), calibration
    )
    if calibrated and calibration is None:
        logs.event(_logger, logging.WARNING, "not calibrated", modality=entry.name, model=modality.model)
    return modality


def limits_of(settings: Settings) -> DecodeLimits:
    """What one photograph may cost in this process, whose modalities share the memory."""
    return DecodeLimits(
        max_bytes=settings.grpc.max_sample_bytes,
        max_pixels=settings.decoding.max_pixels,
        memory=_memory(settings.decoding.max_bytes - assistant_bytes(settings)),
    )


def is_assisted(entry: ModalityEntry[LoadedT, SettingsT], settings: Settings) -> bool:
    """Whether a second process shares the work of a modality."""
    return plan_threads(settings.threads) > 1 and entry.assisted(settings.of(entry))


def assistant_bytes(settings: Settings) -> int:
    """What all assistants have of the memory for decoding; a photograph that needs more is decoded here."""
    assisted = any(is_assisted(entry, settings) for entry in settings.served)
    return settings.decoding.max_bytes // _ASSISTANT_PART if assisted else 0


@cache
def _memory(size: int) -> MemoryBudget:
    """The one budget that the modalities of a process share."""
    return MemoryBudget(size)
