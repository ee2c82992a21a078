"""From the protocol to the domain: what a client sent is checked for shape and size, and converted."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf import field_mask_pb2, timestamp_pb2
from google.protobuf.message import Message

from likeness.domain.answers import SearchOptions
from likeness.domain.changes import RequestKey
from likeness.domain.errors import InvalidInput
from likeness.domain.references import (
    ALL_METADATA,
    Caller,
    Facets,
    MetadataField,
    Purpose,
    Reference,
    Restrictions,
    Status,
)
from likeness.domain.samples import Box, Pick, Sample, Selection
from likeness.domain.text import printable
from likeness.engine.engine import DEFAULT_PAGE, ListQuery
from likeness.engine.search_rules import FRONTLINE_K
from likeness.rpc.convert.enums import CATEGORIES, LEVELS, PICKS, PROFILES, PURPOSES, STATUSES, member
from likeness.rpc.convert.texts import check_printable
from likeness.rpc.convert.tokens import PageTokens
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

DEFAULT_K = 10
MAX_FILTERS = 256
"""Entries of one filter, such as the galleries of a search."""
MAX_SAMPLE_NAME = 256
"""Characters of what a caller calls a sample; errors repeat it."""

MAX_COORDINATE = 1_000_000
"""Pixels from the corner of an image; no format that is read has as many in a row."""

# Printable ASCII without spaces, so that an id can stand in logs, file names and URLs.
_IDENTIFIER = re.compile(r"[!-~]{1,128}")

Write = matching.EnrollRequest | matching.UpdateRequest | matching.ExpungeRequest


def request_key(request: Write, caller: Caller) -> RequestKey:
    """The key that makes a write idempotent.

    The digest is a SHA-256 over the message's full name and its deterministic serialisation, without the request id
    (it is the key), without the operator (another clerk may repeat a request) and without the sample's name (the
    file may have been renamed; it is not stored). It must never change, or a client that tries again across an
    upgrade is refused. The store keeps a keyed digest of it alone, since this one confirms guesses. What a message
    leaves out, the modality of its service, the store compares with the log.

    Raises:
        InvalidInput: the request id is missing or malformed.
    """
    identifier(request.request_id, "request_id")
    content: Write = type(request).FromString(request.SerializeToString())
    content.ClearField("request_id")
    content.caller.ClearField("operator")
    if isinstance(content, matching.EnrollRequest):
        content.sample.ClearField("name")
    digest = hashlib.sha256(request.DESCRIPTOR.full_name.encode() + b"\0")
    digest.update(content.SerializeToString(deterministic=True))
    return RequestKey(caller.entity, request.request_id, digest.digest())


def identifier(text: str, field: str) -> str:
    """An identifier, unchanged.

    Raises:
        InvalidInput: it is empty, too long or not printable.
    """
    if not _IDENTIFIER.fullmatch(text):
        raise InvalidInput(
            f"{field} is {'missing' if not text else 'malformed'}; give 1 to 128 printable characters without "
            "spaces, for example a UUID.",
            field=field,
        )
    return text


def sample(message: common.Sample, field: str, *, max_bytes: int, fallback: str = "") -> Sample:
    """A sample; `fallback` names it in errors where the caller does not.

    Raises:
        InvalidInput: it is empty, longer than `max_bytes`, its name or selection is malformed, or a text
            holds a control character.
    """
    size = len(message.data)
    name = message.name or fallback or field
    shown = printable(name[:MAX_SAMPLE_NAME])
    if size == 0:
        raise InvalidInput(
            f"{shown} is empty ({field}.data has no bytes); send the bytes of the file.",
            field=f"{field}.data",
            reason="EMPTY_SAMPLE",
        )
    if size > max_bytes:
        raise InvalidInput(
            f"{shown} has {size} bytes; the limit is {max_bytes}. Send a smaller file.",
            field=f"{field}.data",
            reason="SAMPLE_TOO_LARGE",
            metadata={"limit_bytes": str(max_bytes)},
        )
    if len(name) > MAX_SAMPLE_NAME:
        raise InvalidInput(
            f"{field}.name has {len(name)} characters; the limit is {MAX_SAMPLE_NAME}.", field=f"{field}.name"
        )
    check_printable(message, f"{field}.")
    return Sample(message.data, name, message.media_type, _selection(message.selection, f"{field}.selection"))


def _selection(message: common.Selection, field: str) -> Selection:
    match message.WhichOneof("how"):
        case "pick":
            return Selection(member(PICKS, message.pick, f"{field}.pick"))
        case "index":
            if message.index < 0:
                raise InvalidInput(
                    f"{field}.index is {message.index}; it begins at 0.", field=f"{field}.index"
                )
            return Selection(Pick.INDEX, index=message.index)
        case "region":
            return Selection(Pick.REGION, region=_region(message.region, f"{field}.region"))
    return Selection()


def _region(message: common.Box, field: str) -> Box:
    box = Box(message.x, message.y, message.width, message.height)
    # Also false for what is not a number.
    within = all(abs(n) <= MAX_COORDINATE for n in (box.x, box.y, box.width, box.height))
    if not within or box.width <= 0 or box.height <= 0:
        raise InvalidInput(
            f"{field} is no rectangle in an image; give its left and top edge and a width and height above 0, in "
            f"pixels, none beyond {MAX_COORDINATE}.",
            field=field,
        )
    return box


def comparand(message: matching.Comparand, field: str, *, max_bytes: int) -> Sample | str:
    """One side of a comparison: a sample, or the id of a reference.

    Raises:
        InvalidInput: it is neither.
    """
    match message.WhichOneof("side"):
        case "sample":
            return sample(message.sample, f"{field}.sample", max_bytes=max_bytes, fallback=field)
        case "reference_id":
            return identifier(message.reference_id, f"{field}.reference_id")
    raise InvalidInput(f"{field} is empty; give a sample or a reference_id.", field=field)


def described(
    message: common.ReferenceMetadata,
    caller: Caller,
    modality: str,
    *,
    reference_id: str = "",
) -> Reference:
    """What an owner says of a reference; an empty owner becomes the caller's entity, an unset status active.

    Raises:
        InvalidInput: an enumeration or a time is not one.
    """
    if message.status == common.STATUS_UNSPECIFIED:
        status = Status.ACTIVE
    else:
        status = member(STATUSES, message.status, "metadata.status")
    expires = moment(message.expire_time, "metadata.expire_time") if message.HasField("expire_time") else None
    review = moment(message.review_time, "metadata.review_time") if message.HasField("review_time") else None
    facets = Facets(
        owner=message.owner or caller.entity,
        galleries=frozenset(message.galleries),
        category=member(CATEGORIES, message.category, "metadata.category"),
        status=status,
        restrictions=_restrictions(message.restrictions),
        expires_at=None if expires is None else math.floor(expires.timestamp()),
    )
    return Reference(
        reference_id=reference_id,
        modality=modality,
        facets=facets,
        subject_id=message.subject_id,
        owner_reference=message.owner_reference,
        notices=tuple(message.notices),
        attributes=dict(message.attributes),
        review_at=review,
    )


def updated_fields(message: matching.UpdateRequest) -> frozenset[MetadataField]:
    """The fields of the metadata that an update changes.

    Raises:
        InvalidInput: the mask names a field that is none, or nothing is to change.
    """
    paths = message.update_mask.paths or [
        field for field in MetadataField if _is_set(message.metadata, field)
    ]
    unknown = [path for path in paths if path != "*" and not _under(path)]
    if unknown:
        raise InvalidInput(
            f"update_mask names '{printable(unknown[0][:80])}', which is no field of the metadata; the fields are "
            f"{', '.join(MetadataField)}.",
            field="update_mask",
        )
    fields = ALL_METADATA if "*" in paths else frozenset[MetadataField]().union(*map(_under, paths))
    if message.metadata.status == common.STATUS_UNSPECIFIED:
        fields -= {MetadataField.STATUS}
    if not fields:
        raise InvalidInput(
            "The update changes nothing; set a field of the metadata, or name in update_mask what is cleared.",
            field="update_mask",
        )
    return fields


def masked(message: common.ReferenceMetadata, fields: frozenset[MetadataField]) -> common.ReferenceMetadata:
    """A copy with those fields alone."""
    part = common.ReferenceMetadata()
    field_mask_pb2.FieldMask(paths=sorted(fields)).MergeMessage(message, part)
    return part


def _under(path: str) -> frozenset[MetadataField]:
    """The fields that a path of a mask leads to: one, or all of a part."""
    return frozenset(field for field in MetadataField if field == path or field.startswith(f"{path}."))


def _is_set(message: Message, path: str) -> bool:
    """Whether a field differs from what is sent for one that was left out."""
    name, _, rest = path.partition(".")
    value = getattr(message, name)
    if rest:
        return _is_set(value, rest)
    if isinstance(value, timestamp_pb2.Timestamp):
        return message.HasField(name)
    return bool(value)


def _restrictions(message: common.Restrictions) -> Restrictions:
    field = "metadata.restrictions.permitted_purposes"
    purposes = frozenset(member(PURPOSES, number, field) for number in message.permitted_purposes)
    if Purpose.UNSPECIFIED in purposes:
        raise InvalidInput(f"{field} holds an unspecified purpose; name one or leave it out.", field=field)
    return Restrictions(
        denied_entities=frozenset(message.denied_entities),
        permitted_entities=frozenset(message.permitted_entities),
        permitted_purposes=purposes,
        denied_countries=frozenset(message.denied_countries),
        permitted_countries=frozenset(message.permitted_countries),
        denied_groups=frozenset(message.denied_groups),
        permitted_groups=frozenset(message.permitted_groups),
        disclosure=member(LEVELS, message.disclosure, "metadata.restrictions.disclosure"),
    )


def moment(stamp: timestamp_pb2.Timestamp, field: str) -> datetime:
    """A time, aware.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{field} is not a time between the years 1 and 9999.", field=field) from error


def search_options(message: common.SearchOptions, *, max_k: int) -> SearchOptions:
    """What to search.

    Raises:
        InvalidInput: an option is out of its range.
    """
    profile = member(PROFILES, message.profile, "options.profile")
    frontline = profile == common.PROFILE_FRONTLINE
    k = message.k or min(FRONTLINE_K if frontline else DEFAULT_K, max_k)
    if not 1 <= k <= max_k:
        raise InvalidInput(
            f"options.k is {k}; ask for 1 to {max_k} candidates.",
            field="options.k",
            metadata={"limit": str(max_k)},
        )
    if not 0 <= message.max_fmr <= 1:
        raise InvalidInput(
            f"options.max_fmr is {message.max_fmr}; a false match rate lies above 0 and is at most 1.",
            field="options.max_fmr",
        )
    if message.min_log_position < 0:
        raise InvalidInput("options.min_log_position is negative.", field="options.min_log_position")
    return SearchOptions(
        k=k,
        max_fmr=message.max_fmr or None,
        galleries=_names(message.galleries, "options.galleries"),
        owners=_names(message.owners, "options.owners"),
        categories=frozenset(member(CATEGORIES, n, "options.categories") for n in message.categories),
        exhaustive=profile == common.PROFILE_EXHAUSTIVE,
        min_log_position=message.min_log_position,
        group_by_subject=message.group_by_subject if message.HasField("group_by_subject") else None,
        frontline=frontline,
        lights_out=message.lights_out,
    )


def list_query(message: matching.ListRequest, tokens: PageTokens, *, max_page: int) -> ListQuery:
    """What to list.

    Raises:
        InvalidInput: a filter or the token is not one, or the page size is negative.
    """
    if message.page_size < 0:
        raise InvalidInput(f"page_size is {message.page_size}; give 0 or more.", field="page_size")
    return ListQuery(
        galleries=_names(message.galleries, "galleries"),
        owners=_names(message.owners, "owners"),
        categories=frozenset(member(CATEGORIES, n, "categories") for n in message.categories),
        statuses=frozenset(member(STATUSES, n, "statuses") for n in message.statuses),
        page_size=min(message.page_size or DEFAULT_PAGE, max_page),
        page_token=tokens.cursor(message.page_token),
    )


def _names(names: Iterable[str], field: str) -> frozenset[str]:
    found = frozenset(names)
    if len(found) > MAX_FILTERS:
        raise InvalidInput(
            f"{field} has {len(found)} entries; the limit is {MAX_FILTERS}.",
            field=field,
            metadata={"limit": str(MAX_FILTERS)},
        )
    return found
