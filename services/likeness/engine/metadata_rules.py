"""What an owner may state of a reference: names, and how many and how long its texts may be."""

from __future__ import annotations

import re

from likeness.domain.errors import InvalidInput
from likeness.domain.references import Reference, Restrictions, Status

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
"""Galleries, owners and entities: short, printable, without spaces, so that they can stand in logs and URLs."""

MAX_GALLERIES = 32
MAX_NOTICES = 64
MAX_ATTRIBUTES = 64
MAX_TEXT = 1024
MAX_RESTRICTED = 256
MAX_METADATA_BYTES = 65536
"""Of the subject's identifier, the owner's number, notices and attributes together, in UTF-8."""


def check_metadata(reference: Reference) -> None:
    """Check what an owner says of a reference against the limits.

    Raises:
        InvalidInput: names the field, the limit and what was given.
    """
    facets = reference.facets
    for gallery in facets.galleries:
        _check_name(gallery, "metadata.galleries")
    _check_count(len(facets.galleries), MAX_GALLERIES, "metadata.galleries")
    _check_restrictions(facets.restrictions)
    _check_count(len(reference.notices), MAX_NOTICES, "metadata.notices")
    _check_count(len(reference.attributes), MAX_ATTRIBUTES, "metadata.attributes")
    texts = _texts(reference)
    for field, text in texts:
        if len(text) > MAX_TEXT:
            raise InvalidInput(
                f"A text in {field} has {len(text)} characters; shorten it to {MAX_TEXT}.", field=field
            )
    size = sum(len(text.encode()) for _, text in texts)
    if size > MAX_METADATA_BYTES:
        raise InvalidInput(
            f"The texts in the metadata take {size} bytes in UTF-8; shorten them to {MAX_METADATA_BYTES}.",
            field="metadata",
            metadata={"limit_bytes": str(MAX_METADATA_BYTES)},
        )
    if facets.status is Status.EXPUNGED:
        raise InvalidInput(
            "A reference is expunged by Expunge, not by its metadata.", field="metadata.status"
        )


def _check_restrictions(limits: Restrictions) -> None:
    field = "metadata.restrictions"
    for names in (
        limits.denied_entities,
        limits.permitted_entities,
        limits.denied_countries,
        limits.permitted_countries,
        limits.denied_groups,
        limits.permitted_groups,
    ):
        _check_count(len(names), MAX_RESTRICTED, field)
        for name in names:
            _check_name(name, field)


def _texts(reference: Reference) -> list[tuple[str, str]]:
    """The free texts in the metadata, each with its field."""
    texts = [
        ("metadata.subject_id", reference.subject_id),
        ("metadata.owner_reference", reference.owner_reference),
    ]
    texts += [("metadata.notices", notice) for notice in reference.notices]
    return texts + [("metadata.attributes", text) for pair in reference.attributes.items() for text in pair]


def _check_name(name: str, field: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"'{name[:80]}' in {field} is not a name: 1 to 64 letters, digits or ._:/- beginning with a letter "
            "or digit.",
            field=field,
        )


def _check_count(count: int, limit: int, field: str) -> None:
    if count > limit:
        raise InvalidInput(f"{field} has {count} entries; the limit is {limit}.", field=field)
