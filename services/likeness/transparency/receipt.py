"""A receipt of an expungement: what a service states, signed, to the owner of what it erased.

A signed note of five lines: what this is, the name of the log, the reference or the owner that was expunged, the
log position from which every generation of an index is free of it, and the time. The same expungement always has
the same receipt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from likeness.domain.errors import InvalidInput
from likeness.transparency.note import Note, Signer, VerifierKey, check_signed, sign

_TITLE = "likeness expungement 1"
_LINES = re.compile(
    rf"{re.escape(_TITLE)}\n(?P<origin>[^\n]+)\n(?P<kind>reference|owner) (?P<name>[^\n]+)\n"
    r"free from log position (?P<position>0|[1-9]\d{0,17})\n(?P<at>[^\n]{1,40})\n",
    re.ASCII,
)


class Expunged(StrEnum):
    """What was expunged: one reference, or all of an owner's, its key with them."""

    REFERENCE = "reference"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class ExpungementReceipt:
    """That what is named was expunged at a log position.

    Every generation of an index that has applied the log up to `log_position` is free of it. `origin` is the name
    of the log, and of the key that signs.
    """

    origin: str
    kind: Expunged
    name: str
    log_position: int
    at: datetime

    @property
    def text(self) -> str:
        """What is signed."""
        return (
            f"{_TITLE}\n{self.origin}\n{self.kind.value} {self.name}\nfree from log position {self.log_position}\n"
            f"{self.at.astimezone(UTC).isoformat()}\n"
        )

    @classmethod
    def open(cls, note: Note, key: VerifierKey) -> ExpungementReceipt:
        """What a receipt states, its signature checked.

        Raises:
            InvalidInput: it is no receipt.
            Corrupt: the key did not sign it.
        """
        check_signed(note, key)
        match = _LINES.fullmatch(note.text)
        if match is None or match["origin"] != key.name:
            raise InvalidInput("The note is no receipt of an expungement by the service of this key.")
        try:
            at = datetime.fromisoformat(match["at"])
        except ValueError as error:
            raise InvalidInput("The receipt has no time.") from error
        return cls(match["origin"], Expunged(match["kind"]), match["name"], int(match["position"]), at)


def receipt_for(signer: Signer, kind: Expunged, name: str, log_position: int, at: datetime) -> str:
    """The signed receipt of an expungement; `name` is the reference or the owner."""
    return str(sign(ExpungementReceipt(signer.name, kind, name, log_position, at).text, signer))
