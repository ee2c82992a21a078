"""Identifiers that sort by time and say nothing about a person."""

from __future__ import annotations

import secrets
import time
import uuid

_MILLISECOND = 1_000_000  # nanoseconds


def new_id() -> str:
    """A UUID version 7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, 12 of the fraction (6.2, method 3), the rest
    random.

    Several are made in a millisecond, and candidates of equal scores stand in the order of their enrolment.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), _MILLISECOND)
    fraction = (nanoseconds << 12) // _MILLISECOND
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 0x7 << 76 | fraction << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))
