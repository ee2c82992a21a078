"""One byte string for one meaning: what digests, seals and stored JSON are made over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from likeness.domain.audit import JsonValue
from likeness.domain.errors import Corrupt

# ensure_ascii (the default) keeps the bytes independent of the Unicode tables of a Python version.
_row_encoder = json.JSONEncoder(separators=(",", ":"), default=lambda value: value.hex())
_map_encoder = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def canonical_row(values: Sequence[object]) -> bytes:
    """The columns of a row as a JSON array without spaces; blobs as hexadecimal."""
    return _row_encoder.encode(values).encode("ascii")


def canonical_json(value: Mapping[str, JsonValue]) -> str:
    """A JSON object with sorted keys and no spaces, ASCII only.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value has no JSON form.
    """
    return _map_encoder.encode(value)


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01 UTC of an aware datetime, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The UTC datetime of `to_micros`.

    Raises:
        Corrupt: no such moment exists in the calendar.
    """
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError as error:
        raise Corrupt(f"A stored time, {micros} microseconds, lies outside the calendar.") from error
