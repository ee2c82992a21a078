"""References and their parts as stored columns, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from likeness.domain.errors import Corrupt, InvalidInput
from likeness.domain.facets import facets_as_json, facets_from_json
from likeness.domain.references import Facets, Reference
from likeness.domain.samples import Quality, QualityComponent
from likeness.store.canonical import canonical_json, from_micros, to_micros

_FACETS_REMEMBERED = 4096
"""Distinct facets whose decoded form is cached; most references of an owner share theirs."""

Subject = Mapping[str, Any]


def encode_facets(facets: Facets) -> str:
    """Canonical JSON."""
    return canonical_json(facets_as_json(facets))


@lru_cache(_FACETS_REMEMBERED)
def decode_facets(text: str) -> Facets:
    """Read what `encode_facets` wrote.

    Raises:
        Corrupt: it is something else.
    """
    try:
        return facets_from_json(json.loads(text))
    except ValueError as error:
        raise _unreadable("facets") from error


def encode_subject(reference: Reference) -> bytes:
    """What is known of the subject, as JSON to be sealed."""
    return canonical_json(
        {
            "subject_id": reference.subject_id,
            "owner_reference": reference.owner_reference,
            "notices": reference.notices,
            "attributes": reference.attributes,
        }
    ).encode("ascii")


def decode_subject(data: bytes) -> Subject:
    """Keyword arguments for `Reference`.

    Raises:
        Corrupt: the bytes are not what `encode_subject` wrote.
    """
    try:
        content = json.loads(data)
        return {
            "subject_id": content["subject_id"],
            "owner_reference": content["owner_reference"],
            "notices": tuple(content["notices"]),
            "attributes": dict(content["attributes"]),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable("subject") from error


def encode_quality(reference: Reference) -> bytes:
    """Quality and the reason it was overridden, as JSON to be sealed."""
    quality = reference.quality
    return canonical_json(
        {
            "unified": quality.unified,
            "components": [[c.name, c.value, c.native, c.unit] for c in quality.components],
            "override": reference.quality_override,
        }
    ).encode("ascii")


def decode_quality(data: bytes) -> tuple[Quality, str]:
    """Quality and the reason it was overridden.

    Raises:
        Corrupt: the bytes are not what `encode_quality` wrote.
    """
    try:
        content = json.loads(data)
        components = tuple(
            QualityComponent(name, value, native, unit) for name, value, native, unit in content["components"]
        )
        return Quality(content["unified"], components), content["override"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable("quality") from error


def facet_columns(facets: Facets, text: str) -> dict[str, Any]:
    """The columns of a reference row that its facets decide."""
    return {
        "owner": facets.owner,
        "category": facets.category.value,
        "status": facets.status.value,
        "facets": text,
    }


def description_columns(reference: Reference) -> dict[str, Any]:
    """The columns of a reference row that its owner may change, apart from the facets.

    Raises:
        InvalidInput: `review_at` has no time zone.
    """
    review_at = reference.review_at
    if review_at is not None and review_at.tzinfo is None:
        raise InvalidInput("review_at has no time zone; give it in UTC.", field="review_at")
    return {"review_at": None if review_at is None else to_micros(review_at)}


def reference_from(row: Mapping[str, Any], subject: Subject, quality: tuple[Quality, str]) -> Reference:
    """A reference from its verified row and its opened parts."""
    review_at = row["review_at"]
    return Reference(
        reference_id=row["reference_id"],
        modality=row["modality"],
        facets=decode_facets(row["facets"]),
        review_at=None if review_at is None else from_micros(review_at),
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
        quality=quality[0],
        quality_override=quality[1],
        template_space=row["template_space"],
        model=row["model"],
        position=row["position"],
        enrolled_position=row["key"],
        **subject,
    )


def _unreadable(part: str) -> Corrupt:
    return Corrupt(f"The stored {part} of a reference cannot be read; restore the database from a backup.")
