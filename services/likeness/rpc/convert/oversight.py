"""Between the protocol and the domain: what a bureau oversees."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence

from likeness.domain.errors import InvalidInput
from likeness.domain.oversight import Received, SuspendedEntity
from likeness.domain.references import Caller
from likeness.domain.storage import AuditReceipt
from likeness.engine.metadata_rules import MAX_TEXT, NAME
from likeness.engine.oversight import Reading, RecordQuery
from likeness.rpc.convert.answers import timestamp
from likeness.rpc.convert.enums import level_value, purpose_value
from likeness.rpc.convert.requests import identifier, moment
from likeness.v1 import common_pb2 as common
from likeness.v1 import oversight_pb2 as oversight

MAX_REASON = 256
"""Characters of a reason; it stands in the file of what is cut off."""

DEFAULT_PAGE, MAX_PAGE = 100, 1000
DEFAULT_ENTRIES, MAX_ENTRIES = 10_000, 100_000

MESSAGE_ENTRIES = 500
"""Entries of one message of a record: some 100 kB."""


def reason(request: oversight.SuspendEntityRequest) -> str:
    """Why an entity is to be cut off.

    Raises:
        InvalidInput: it is too long.
    """
    if len(request.reason) > MAX_REASON:
        raise InvalidInput(
            f"reason has {len(request.reason)} characters; the limit is {MAX_REASON}.", field="reason"
        )
    return request.reason


def page(request: oversight.ListSuspensionsRequest) -> tuple[str, int]:
    """The entity after which a page begins, empty for the first, and how many it has at most.

    Raises:
        InvalidInput: the size is negative, or the token is none of ours.
    """
    if request.page_size < 0:
        raise InvalidInput(f"page_size is {request.page_size}; give 0 or more.", field="page_size")
    return _after(request.page_token), min(request.page_size or DEFAULT_PAGE, MAX_PAGE)


def _after(token: str) -> str:
    if not token:
        return ""
    try:
        name = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        name = ""
    if not NAME.fullmatch(name):
        raise InvalidInput(
            "The page_token is not one that ListSuspensions returned; send the next_page_token of the page before, "
            "or begin again without one.",
            field="page_token",
            reason="PAGE_TOKEN_INVALID",
        )
    return name


def query(request: oversight.ReadRecordRequest) -> tuple[RecordQuery, int]:
    """What of the record is wanted, and how many entries at most.

    Raises:
        InvalidInput: a field is out of its range or malformed.
    """
    wanted = {"reference_id": "", "subject_id": ""}
    scope = request.WhichOneof("scope")
    if scope == "reference_id":
        wanted[scope] = identifier(request.reference_id, scope)
    elif scope == "subject_id":
        if not 0 < len(request.subject_id) <= MAX_TEXT:
            raise InvalidInput(
                f"subject_id has {len(request.subject_id)} characters; give 1 to {MAX_TEXT}.", field=scope
            )
        wanted[scope] = request.subject_id
    if request.after_position < 0:
        raise InvalidInput("after_position is negative; give 0 or more.", field="after_position")
    if not 0 <= request.max_entries <= MAX_ENTRIES:
        raise InvalidInput(
            f"max_entries is {request.max_entries}; give 1 to {MAX_ENTRIES}, or 0 for {DEFAULT_ENTRIES}.",
            field="max_entries",
            metadata={"limit": str(MAX_ENTRIES)},
        )
    since, until = (
        moment(getattr(request, name), name) if request.HasField(name) else None
        for name in ("since_time", "until_time")
    )
    asked = RecordQuery(**wanted, since=since, until=until, after=request.after_position)
    return asked, request.max_entries or DEFAULT_ENTRIES


def header(caller: Caller, receipt: AuditReceipt) -> common.AnswerHeader:
    """Where an act is on record, and the policy that it was judged by."""
    return common.AnswerHeader(
        audit_position=receipt.position, audit_digest=receipt.digest.hex(), policy=caller.grant.policy
    )


def suspension(row: SuspendedEntity) -> oversight.Suspension:
    """An entity that is cut off."""
    return oversight.Suspension(
        entity=row.entity,
        since_time=timestamp(row.since),
        by=row.by,
        reason=row.reason,
        audit_position=row.audit,
    )


def next_token(rows: Sequence[SuspendedEntity], *, more: bool) -> str:
    """The token of the page after these; empty where there is none."""
    return base64.urlsafe_b64encode(rows[-1].entity.encode()).decode() if more else ""


def progress(reading: Reading) -> oversight.ReadRecordResponse:
    """How far a record was read."""
    return oversight.ReadRecordResponse(read_position=reading.position, complete=reading.is_complete)


def parts(
    rows: Sequence[Received], before: Reading, after: Reading
) -> Iterator[oversight.ReadRecordResponse]:
    """The messages of a stretch of a record; only the last of them says that it was read."""
    whole = len(rows) // MESSAGE_ENTRIES * MESSAGE_ENTRIES
    for begin in range(0, whole + 1, MESSAGE_ENTRIES):
        message = progress(after if begin == whole else before)
        message.entries.extend(map(_entry, rows[begin : begin + MESSAGE_ENTRIES]))
        yield message


def _entry(row: Received) -> oversight.ReceivedReference:
    """A reference that somebody received."""
    return oversight.ReceivedReference(
        time=timestamp(row.at),
        audit_position=row.position,
        entity=row.entity,
        purpose=purpose_value(row.purpose),
        method=row.method,
        reference_id=row.reference_id,
        level=level_value(row.level),
    )
