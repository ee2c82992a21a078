"""Finger minutiae records in and out: ISO/IEC 19794-2, ANSI/INCITS 378 and ANSI/NIST-ITL Type-9."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats import incits, iso, type9
from likeness.fingerprint.formats.cursor import MAX_RECORD_BYTES, malformed, several, too_much
from likeness.fingerprint.formats.standards import MAX_VIEWS, Standard
from likeness.fingerprint.formats.wrapping import unwrap
from likeness.fingerprint.minutiae import Record, Remark

__all__ = ["MAX_RECORD_BYTES", "MAX_VIEWS", "Standard", "read", "write"]

_WRITERS: Mapping[Standard, Callable[[Record], bytes]] = {
    Standard.ISO_2005: iso.write_2005,
    Standard.ISO_2011: iso.write_2011,
    Standard.INCITS_2004: incits.write_2004,
    Standard.INCITS_2009: incits.write_2009,
    Standard.TYPE_9_INCITS: lambda record: type9.write(record, extended_features=False),
    Standard.TYPE_9_EFS: lambda record: type9.write(record, extended_features=True),
}

_BEGINNING = re.compile(rb"FMR\0(?:[ 0](20|30|35)\0|(20|30|35)\0\0)")
"""Some write the version with a blank before it, some with a zero, some with neither."""

_SLACK = 32
"""Bytes by which a length may be off: those of a header that was counted, or was not."""


def read(data: bytes, name: str) -> Record:
    """The views of a record, whatever format it is in, at 500 dpi and in our axes.

    Coordinates outside the declared size are accepted: real extractors write them, and nothing depends on it. What
    is wrong and does not matter, such as a length that is off where the views fill the record, is among the
    remarks.

    Args:
        data: the record, or what it is wrapped in; see `wrapping`.
        name: what the caller calls it.

    Raises:
        SampleRejected: it is none of the formats, breaks its standard (the message names byte offset and clause),
            or exceeds a limit; or it holds several records, of which none is picked.
    """
    if len(data) > MAX_RECORD_BYTES:
        raise too_much(name, 0, "our limits", f"{len(data)} bytes, more than {MAX_RECORD_BYTES}")
    inner, wrappers = unwrap(data, name, _is_record)
    record = type9.read(inner, name) if type9.is_type_9(inner) else _read_binary(inner, name)
    if not wrappers:
        return record
    remark = Remark(
        "RECORD_UNWRAPPED", f"{name} is {', in it '.join(wrappers)}, in it a record of {record.standard}."
    )
    return replace(record, remarks=(remark, *record.remarks))


def _is_record(data: bytes) -> bool:
    return _BEGINNING.match(data) is not None or type9.is_type_9(data)


class _Candidate(NamedTuple):
    """A standard that a record may be of: the length that it declares by it, and how it is read."""

    data: bytes
    declared: int
    reader: Callable[[bytes, str], Record]
    clause: str

    @property
    def is_near(self) -> bool:
        """Whether the record may be of this length: nearly all of it, or all but NULs that fill it up."""
        return abs(self.declared - len(self.data)) <= _SLACK or (
            _SLACK < self.declared < len(self.data) and not self.data[self.declared :].strip(b"\0")
        )


def _read_binary(data: bytes, name: str) -> Record:
    """A record that begins with FMR.

    The standards share this beginning and differ in the length that they declare. Where it fits none, the
    one is taken whose views fill the record to the byte, or to the NULs after it.
    """
    candidates = _candidates(data)
    for candidate in candidates:
        if candidate.declared == len(data):
            return candidate.reader(candidate.data, name)
    for candidate in candidates:
        record = _attempt(candidate, name) if candidate.is_near else None
        if record is not None:
            return record
    if _BEGINNING.search(data, len(iso.MAGIC_2005)):
        raise several(name, "several finger minutiae records, one after another")
    raise _of_no_length(candidates[0], name)


def _of_no_length(nearest: _Candidate, name: str) -> SampleRejected:
    length = len(nearest.data)
    what = f"the record declares a length of {nearest.declared} bytes and has {length}"
    what += ", so it is truncated" if nearest.declared > length else ", and its views do not end with it"
    return malformed(name, 8, nearest.clause, what)


def _attempt(candidate: _Candidate, name: str) -> Record | None:
    try:
        record = candidate.reader(candidate.data, name)
    except SampleRejected:
        return None
    if not any(len(view.minutiae) for view in record.views):
        return None  # next to nothing fits any length
    remark = Remark(
        "RECORD_LENGTH_WRONG",
        f"{name} ({record.standard}) declares a length of {candidate.declared} bytes and has "
        f"{len(candidate.data)}; its views end where it does, so it was read.",
    )
    return replace(record, remarks=(remark,))


def _candidates(data: bytes) -> list[_Candidate]:
    """The standards that a record may be of, the one whose length is nearest first."""
    found = _BEGINNING.match(data)
    version = b"" if found is None else found[1] or found[2]
    if version == b"20":
        usual = iso.MAGIC_2005 + data[len(iso.MAGIC_2005) :]
        both = [
            _Candidate(usual, iso.declared(usual), iso.read_2005, "ISO/IEC 19794-2:2005, 7.3.4"),
            _Candidate(usual, incits.declared_2004(usual), incits.read_2004, "ANSI/INCITS 378-2004, 6.4.4"),
        ]
        return sorted(both, key=lambda one: abs(one.declared - len(data)))
    usual = b"FMR\0" + b"0%s\0" % version + data[len(iso.MAGIC_2011) :]
    if version == b"30" and iso.is_2011(usual):
        return [_Candidate(usual, iso.declared(usual), iso.read_2011, "ISO/IEC 19794-2:2011, 8.3.4")]
    return [_Candidate(usual, iso.declared(usual), incits.read_2009, "ANSI/INCITS 378-2009, 6.4.4")]


def write(record: Record, standard: Standard) -> bytes:
    """A record in one of the formats, at 500 dpi.

    Coordinates and angles are rounded to the steps of the format; of more than 255 minutiae the first 255 are
    written. Type-9 has no place for extended data and leaves it out.
    """
    return _WRITERS[standard](record)
