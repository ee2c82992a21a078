"""The one form in which facets are written down: in the log, in rows of references, in snapshots of an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from likeness.domain.access import Level
from likeness.domain.audit import JsonValue
from likeness.domain.references import Category, Facets, Purpose, Restrictions, Status

_T = TypeVar("_T")

_KEYS = frozenset({"owner", "galleries", "category", "status", "expires_at", "restrictions"})
_NAMES = (
    "denied_entities",
    "permitted_entities",
    "denied_countries",
    "permitted_countries",
    "denied_groups",
    "permitted_groups",
)
"""Restrictions that are sets of names, as they are called here and there."""
_RESTRICTIONS = frozenset({*_NAMES, "permitted_purposes", "disclosure"})
_LEVELS = {level.name.lower(): level for level in Level}


def facets_as_json(facets: Facets) -> dict[str, JsonValue]:
    """The facets as a JSON object; empty parts are left out, sets are sorted."""
    limits = facets.restrictions
    return _without_empty(
        {
            "owner": facets.owner,
            "galleries": sorted(facets.galleries),
            "category": facets.category.value,
            "status": facets.status.value,
            "expires_at": facets.expires_at,
            "restrictions": _without_empty(
                {
                    **{name: sorted(getattr(limits, name)) for name in _NAMES},
                    "permitted_purposes": sorted(purpose.value for purpose in limits.permitted_purposes),
                    "disclosure": None if limits.disclosure is None else limits.disclosure.name.lower(),
                }
            ),
        }
    )


def facets_from_json(content: object) -> Facets:
    """The facets that `facets_as_json` wrote.

    A key that is not known is refused: it may be a restriction that a newer release wrote, which must not be lost.

    Raises:
        ValueError: it is something else.
    """
    try:
        known = _object(content, _KEYS)
        limits = _object(known.get("restrictions", {}), _RESTRICTIONS)
        return Facets(
            owner=_text(known["owner"]),
            galleries=_set(known.get("galleries", []), _text),
            category=Category(known["category"]),
            status=Status(known["status"]),
            restrictions=Restrictions(
                **{name: _set(limits.get(name, []), _text) for name in _NAMES},
                permitted_purposes=_set(limits.get("permitted_purposes", []), Purpose),
                disclosure=_LEVELS[limits["disclosure"]] if "disclosure" in limits else None,
            ),
            expires_at=_seconds(known.get("expires_at")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no facets of a reference: {error}") from error


def _without_empty(content: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in content.items() if value not in (None, [], {})}


def _object(content: object, keys: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(content, dict) or not content.keys() <= keys:
        raise TypeError("not an object of the known keys")
    return content


def _set(content: object, of: Callable[[Any], _T]) -> frozenset[_T]:
    if not isinstance(content, list):
        raise TypeError("not a list")
    return frozenset(map(of, content))


def _text(content: object) -> str:
    if not isinstance(content, str):
        raise TypeError("not a text")
    return content


def _seconds(content: object) -> int | None:
    if content is not None and type(content) is not int:
        raise TypeError("not a whole number of seconds")
    return content
