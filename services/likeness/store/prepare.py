"""What can be done to a write before it is its turn: checked, encoded and sealed in the caller's thread."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from likeness.domain.audit import AuditEntry
from likeness.domain.changes import Change, Enrol, Expunge, Receipt, RequestKey, Update, Write
from likeness.domain.errors import InvalidInput, LikenessError
from likeness.domain.references import Reference, Status
from likeness.store.audit import encode_entry, settled
from likeness.store.codec import (
    description_columns,
    encode_facets,
    encode_quality,
    encode_subject,
    facet_columns,
)
from likeness.store.sealing import Seals, place, tag

MAX_ID_BYTES = 512
"""Of reference ids, request ids and the names of entities, owners and galleries."""

MAX_SUBJECT_BYTES = 512 * 1024
"""Of the subject's metadata as JSON, which writes some letters as six bytes; how much of them a caller may send is
limited, as UTF-8, where it comes in."""

MAX_FACETS_BYTES = 65536
"""Of the facets, of the quality, each as JSON, and of a reason."""

MAX_TEMPLATE_BYTES = 16 * 1024 * 1024
"""Some thousands of 512-dimension vectors."""

MAX_SOURCE_BYTES = 256 * 1024 * 1024
"""Far below the limit of a row in any database (10^9 bytes in SQLite); real limits on samples are set where they
come in."""

DIGEST_BYTES = 32
Sized = TypeVar("Sized", bytes, str)
_MAX_INTEGER = 2**63 - 1
_LONGEST = Receipt("x" * MAX_ID_BYTES, _MAX_INTEGER, datetime.max.replace(tzinfo=UTC), replayed=True)


@dataclass(frozen=True, slots=True)
class PreparedWrite:
    """A write with the columns that do not depend on its position; `blobs` maps a satellite to its body."""

    key: RequestKey
    change: Change
    reference_id: str
    columns: dict[str, Any] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    audit: AuditEntry | None = None


def prepare(write: Write, seals: Seals) -> PreparedWrite | LikenessError:
    """Check, encode and seal one write, or say why it cannot be done."""
    try:
        _check_key(write.key)
        if write.audit is not None:
            # With the longest receipt: what passes here cannot fail the transaction that it will share.
            encode_entry(settled(write.audit, _LONGEST))
        return replace(_prepare_change(write.key, write.change, seals), audit=write.audit)
    except LikenessError as error:
        return error
    except (ValueError, TypeError) as error:  # a number that is not finite, or text that is not Unicode
        return InvalidInput(f"The write {write.key.request_id!r} cannot be stored: {error}.")


def _prepare_change(key: RequestKey, change: Change, seals: Seals) -> PreparedWrite:
    if isinstance(change, Enrol):
        return _prepare_enrol(key, change, seals)
    if isinstance(change, Update):
        return _prepare_update(key, change, seals)
    return _prepare_expunge(key, change)


def _prepare_enrol(key: RequestKey, change: Enrol, seals: Seals) -> PreparedWrite:
    reference, identity = change.reference, change.reference.reference_id
    _check_text(identity, "reference_id")
    _check_text(reference.modality, "modality")
    _check_text(change.template.space, "template_space")
    _check_text(change.template.model, "model")
    owner = reference.facets.owner
    body = _within(MAX_TEMPLATE_BYTES, change.template.to_bytes(), "template")
    blobs = {
        "template": seals.templates.seal_for(owner, body, aad=place("template", identity)),
        "subject": _seal_subject(reference, seals),
    }
    if change.source is not None:
        _within(MAX_SOURCE_BYTES, change.source, "source")
        blobs["source"] = seals.sources.seal_for(owner, change.source, aad=place("source", identity))
    quality = _within(MAX_FACETS_BYTES, encode_quality(reference), "quality")
    columns = {
        "reference_id": identity,
        "modality": reference.modality,
        "template_space": change.template.space,
        "model": change.template.model,
        "quality": seals.subjects.seal_for(owner, quality, aad=place("reference", identity, "quality")),
        **_describe(reference),
        **_tags(blobs),
    }
    return PreparedWrite(key, change, identity, columns, blobs)


def _prepare_update(key: RequestKey, change: Update, seals: Seals) -> PreparedWrite:
    reference = change.reference
    _check_text(reference.reference_id, "reference_id")
    blobs = {"subject": _seal_subject(reference, seals)}
    return PreparedWrite(key, change, reference.reference_id, {**_describe(reference), **_tags(blobs)}, blobs)


def _prepare_expunge(key: RequestKey, change: Expunge) -> PreparedWrite:
    _check_text(change.reference_id, "reference_id")
    _within(MAX_FACETS_BYTES, change.reason.encode(), "reason")
    return PreparedWrite(key, change, change.reference_id)  # its row says for whom the reason is sealed


def _describe(reference: Reference) -> dict[str, Any]:
    """The columns that an enrolment and an update both set."""
    facets = reference.facets
    _check_text(facets.owner, "owner")
    for gallery in facets.galleries:
        _check_text(gallery, "galleries")
    if facets.status is Status.EXPUNGED:
        raise InvalidInput("A reference is expunged by Expunge, not by its status.", field="status")
    if facets.expires_at is not None and not -_MAX_INTEGER <= facets.expires_at <= _MAX_INTEGER:
        raise InvalidInput("expires_at is not a time in Unix seconds.", field="expires_at")
    text = encode_facets(facets)
    _within(MAX_FACETS_BYTES, text, "facets")
    return {**facet_columns(facets, text), **description_columns(reference)}


def _seal_subject(reference: Reference, seals: Seals) -> bytes:
    data = _within(MAX_SUBJECT_BYTES, encode_subject(reference), "attributes")
    aad = place("subject", reference.reference_id)
    return seals.subjects.seal_for(reference.facets.owner, data, aad=aad)


def _tags(blobs: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{satellite}_tag": tag(body) for satellite, body in blobs.items()}


def _check_key(key: RequestKey) -> None:
    _check_text(key.entity, "entity")
    _check_text(key.request_id, "request_id")
    if len(key.digest) != DIGEST_BYTES:
        raise InvalidInput(f"A request digest has {DIGEST_BYTES} bytes, this one {len(key.digest)}.")


def _within(limit: int, data: Sized, field: str) -> Sized:
    """The data, if it is no longer than the limit in bytes."""
    if len(data) > limit:
        raise InvalidInput(
            f"{field} takes {len(data)} bytes as it is stored; shorten it to {limit}.", field=field
        )
    return data


def _check_text(text: str, field: str) -> None:
    if not text or "\x00" in text or len(text.encode()) > MAX_ID_BYTES:
        raise InvalidInput(f"{field} must have 1 to {MAX_ID_BYTES} bytes and no NUL character.", field=field)
