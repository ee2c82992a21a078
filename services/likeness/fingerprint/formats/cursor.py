"""Reads numbers from a record without trusting it: reads are checked, complaints name offset and clause."""

from __future__ import annotations

from likeness.domain.errors import SampleRejected

MAX_RECORD_BYTES = 1 << 20
"""Bytes of one record: ten fingers of many views with extended data stay far below."""


def malformed(name: str, offset: int, clause: str, what: str) -> SampleRejected:
    """The error of a record that breaks its standard."""
    return SampleRejected(
        f"{name} breaks {clause} at byte {offset}: {what}; export the record again from the system that made it.",
        reason="MALFORMED_RECORD",
        metadata={"offset": str(offset), "clause": clause},
    )


def too_much(name: str, offset: int, clause: str, what: str) -> SampleRejected:
    """The error of a record that asks for more than a record needs."""
    return SampleRejected(
        f"{name} exceeds a limit at byte {offset} ({clause}): {what}; split the record.",
        reason="LIMIT_EXCEEDED",
        metadata={"offset": str(offset), "clause": clause},
    )


def several(name: str, what: str) -> SampleRejected:
    """The error of a sample that holds records which may be of several persons; none is picked."""
    return SampleRejected(
        f"{name} holds {what}, and nothing says that they are of one person; send each as a sample of its own.",
        reason="SEVERAL_RECORDS",
    )


class Cursor:
    """A position in a record that only moves forward, within `end`.

    Args:
        data: the record.
        name: what the caller calls it.
        offset: where reading begins.
        end: where it must stop; None means the end of the data.
    """

    def __init__(self, data: bytes, name: str, offset: int = 0, end: int | None = None) -> None:
        self.data = data
        self.name = name
        self.offset = offset
        self.end = len(data) if end is None else end

    @property
    def left(self) -> int:
        """Bytes that can still be read."""
        return self.end - self.offset

    def take(self, count: int, clause: str) -> bytes:
        """The next `count` bytes.

        Raises:
            SampleRejected: the record ends before.
        """
        if count > self.left:
            raise malformed(
                self.name, self.offset, clause, f"{count} bytes were expected and {self.left} are left"
            )
        taken = self.data[self.offset : self.offset + count]
        self.offset += count
        return taken

    def number(self, size: int, clause: str) -> int:
        """The next unsigned big-endian number of `size` bytes."""
        return int.from_bytes(self.take(size, clause), "big")

    def part(self, count: int, clause: str) -> Cursor:
        """A cursor over the next `count` bytes; this one moves behind them."""
        start = self.offset
        self.take(count, clause)
        return Cursor(self.data, self.name, start, start + count)

    @property
    def only_nul_left(self) -> bool:
        """Whether nothing but padding can still be read."""
        return not self.data[self.offset : self.end].strip(b"\0")

    def finish(self, clause: str) -> None:
        """Require that a record ends here, but for NULs that fill a field of fixed size.

        Raises:
            SampleRejected: something else follows.
        """
        if not self.only_nul_left:
            raise self.wrong(clause, f"{self.left} bytes follow the last view")

    def wrong(self, clause: str, what: str) -> SampleRejected:
        """The error of what was found here."""
        return malformed(self.name, self.offset, clause, what)
