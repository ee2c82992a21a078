"""One act on record: who asked what and why, and what was answered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from likeness.domain.references import Caller

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


_MARK = re.compile(r"(0|[1-9]\d{0,17}):([0-9a-fA-F]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class AuditMark:
    """An entry of the audit chain as it is noted down where the server cannot write: `POSITION:DIGEST`.

    `position` counts from 1, `digest` is the entry's, 32 bytes, written in hexadecimal. Position 0 with 32 zero
    bytes stands for a chain that is empty.
    """

    position: int
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> AuditMark:
        """Read what `str` of a mark wrote.

        Raises:
            ValueError: it is something else.
        """
        match = _MARK.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"'{text}' is not an entry of an audit chain; write POSITION:DIGEST, as `likeness audit verify` "
                "prints it"
            )
        return cls(int(match[1]), bytes.fromhex(match[2]))

    def __str__(self) -> str:
        """`POSITION:DIGEST`."""
        return f"{self.position}:{self.digest.hex()}"


@dataclass(frozen=True, slots=True)
class AuditCandidate:
    """One candidate that was answered: `score` on the modality's scale, `fmr` as published.

    `measurable`: as in `calibration.Fmr`: where False the rate is below `fmr`. None in entries of releases that did
    not record it.
    """

    reference_id: str
    score: float
    fmr: float
    measurable: bool | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act on record. No personal data: `probe` is a keyed digest of the sample, never the sample.

    `options` and `filters` are what was asked, `searched` the number of references compared, `outcome` "OK" or
    the reason of the error that was answered.
    """

    rpc: str
    caller: Caller
    outcome: str
    modality: str = ""
    probe: str = ""
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    filters: Mapping[str, JsonValue] = field(default_factory=dict)
    candidates: tuple[AuditCandidate, ...] = ()
    searched: int = 0
    model: str = ""
    calibration: str = ""
    generation: str = ""
    log_position: int = 0
    details: Mapping[str, JsonValue] = field(default_factory=dict)
