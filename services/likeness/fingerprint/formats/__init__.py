"""Finger minutiae records in and out: ISO/IEC 19794-2, ANSI/INCITS 378 and ANSI/NIST-ITL Type-9."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats import incits, iso, type9
from likeness.fingerprint.formats.cursor import MAX_RECORD_BYTES, malformed, too_much
from likeness.fingerprint.formats.standards import MAX_VIEWS, Standard
from likeness.fingerprint.minutiae import Record

__all__ = ["MAX_RECORD_BYTES", "MAX_VIEWS", "Standard", "read", "write"]

_WRITERS: Mapping[Standard, Callable[[Record], bytes]] = {
    Standard.ISO_2005: iso.write_2005,
    Standard.ISO_2011: iso.write_2011,
    Standard.INCITS_2004: incits.write_2004,
    Standard.INCITS_2009: incits.write_2009,
    Standard.TYPE_9_INCITS: lambda record: type9.write(record, extended_features=False),
    Standard.TYPE_9_EFS: lambda record: type9.write(record, extended_features=True),
}


def read(data: bytes, name: str) -> Record:
    """The views of a record, whatever format it is in, at 500 dpi and in our axes.

    Coordinates outside the declared size are kept: real extractors write them, and nothing depends on it.

    Args:
        data: the record.
        name: what the caller calls it.

    Raises:
        SampleRejected: it is none of the formats, breaks its standard (the message names byte offset and clause),
            or exceeds a limit.
    """
    if len(data) > MAX_RECORD_BYTES:
        raise too_much(name, 0, "our limits", f"{len(data)} bytes, more than {MAX_RECORD_BYTES}")
    return _reader(data, name)(data, name)


def _reader(data: bytes, name: str) -> Callable[[bytes, str], Record]:
    head = data[:8]
    if head == iso.MAGIC_2005:
        if iso.is_2005(data):
            return iso.read_2005
        if incits.is_2004(data):
            return incits.read_2004
        raise malformed(
            name,
            8,
            "ISO/IEC 19794-2:2005, 7.3.4",
            f"the length that it tells is not its own, {len(data)} bytes",
        )
    if head in incits.MAGICS_2009:
        return iso.read_2011 if head == iso.MAGIC_2011 and iso.is_2011(data) else incits.read_2009
    if type9.is_type_9(data):
        return type9.read
    raise SampleRejected(
        f"{name} is no finger minutiae record: at byte 0 there is neither the magic number of ISO/IEC 19794-2 and "
        "ANSI/INCITS 378 (FMR) nor a Type-1 or Type-9 record of ANSI/NIST-ITL; send the template, not the image.",
        reason="UNSUPPORTED_FORMAT",
        metadata={"offset": "0"},
    )


def write(record: Record, standard: Standard) -> bytes:
    """A record in one of the formats, at 500 dpi.

    Coordinates and angles are rounded to the steps of the format; of more than 255 minutiae the first 255 are
    written. Type-9 has no place for extended data and leaves it out.
    """
    return _WRITERS[standard](record)
