"""What a search and a comparison share: their stages timed, their scores rated, their answers on record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Self

from likeness.domain.answers import Header
from likeness.domain.calibration import Calibration, Fmr
from likeness.domain.errors import LikenessError
from likeness.domain.modality import Modality
from likeness.domain.samples import Extraction
from likeness.domain.storage import AuditReceipt

UNCALIBRATED = Fmr(1.0, 0.0, 1.0, measurable=False)

ObserveStage = Callable[[str, float], None]


def _unobserved(stage: str, seconds: float) -> None:
    """Report to nobody."""


@dataclass
class Timings:
    """Seconds per stage of one answer; when the block that it guards ends, each stage is reported once.

    Those that an error out of the block carries are among them.
    """

    observe: ObserveStage = _unobserved
    seconds: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, LikenessError):
            self.include(error.timings)
        for stage, seconds in self.seconds.items():
            self.observe(stage, seconds)

    def add(self, stage: str, seconds: float) -> None:
        """Add time to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def add_all(self, extraction: Extraction) -> None:
        """Add the stages of an extraction."""
        self.include(extraction.timings)

    def include(self, seconds: Mapping[str, float]) -> None:
        """Add the stages of a part that timed itself."""
        for stage, spent in seconds.items():
            self.add(stage, spent)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block as a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    @contextmanager
    def put_on_errors(self) -> Iterator[None]:
        """Add the stages to what an error out of the block carries, for it leaves no answer that could say them."""
        try:
            yield
        except LikenessError as error:
            self.include(error.timings)
            error.timings = self.seconds
            raise


def rate(calibration: Calibration | None, score: float) -> Fmr:
    """The false match rate of a score; where nothing was calibrated, the honest answer is `at most 1`."""
    return calibration.rate(score) if calibration is not None else UNCALIBRATED


def calibration_id(modality: Modality) -> str:
    """The name of the calibration in use; empty if there is none."""
    return modality.calibration.calibration_id if modality.calibration is not None else ""


def recorded(header: Header, receipt: AuditReceipt, timings: Timings) -> Header:
    """The header of an answer that was put on record.

    Where a policy judged the call its stages are observed and not answered: without the noise of a network they
    would tell whether there is more in the gallery than the caller may see.
    """
    return replace(
        header,
        audit_position=receipt.position,
        audit_digest=receipt.digest.hex(),
        timings={} if header.policy else timings.seconds,
    )
