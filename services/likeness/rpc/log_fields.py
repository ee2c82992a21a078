"""What the log line of a call says of its request and answer, so that it can be found from either."""

from __future__ import annotations

import hashlib
import re
from typing import Any

# Hexadecimal digits and hyphens, as UUIDs and digests are written: no name can be among these.
_OPAQUE = re.compile(r"[0-9A-Fa-f-]{8,128}")

_DIGEST_DIGITS = 16
"""Of the SHA-256 that stands for a request id: enough to tell those of a day apart."""


def opaque(request_id: str) -> str:
    """The request id, or its digest where the client put something readable into it, which may be personal data."""
    if _OPAQUE.fullmatch(request_id):
        return request_id
    return "sha256:" + hashlib.sha256(request_id.encode()).hexdigest()[:_DIGEST_DIGITS]


def asked(request: Any) -> dict[str, object]:
    """The fields of a request that names itself."""
    request_id = getattr(request, "request_id", "")
    return {"request_id": opaque(request_id)} if request_id else {}


def noted(answer: Any) -> dict[str, object]:
    """The fields of an answer: its entry in the audit chain or in the log, and whether it is a repetition."""
    names = answer.DESCRIPTOR.fields_by_name
    noted: dict[str, object] = {}
    if "header" in names:
        noted["audit_position"] = answer.header.audit_position
    if "log_position" in names:
        noted |= {"log_position": answer.log_position, "replayed": answer.replayed}
    return noted
