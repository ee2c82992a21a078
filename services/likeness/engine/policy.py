"""What a caller may read of a reference, and what its owner alone may do; `domain.scope` says who may use it."""

from __future__ import annotations

from dataclasses import replace

from likeness.domain.errors import Denied, InvalidInput
from likeness.domain.references import Caller, Facets, Reference, Restrictions

_NO_RESTRICTIONS = Restrictions()


def as_seen_by(caller: Caller, reference: Reference) -> Reference:
    """The reference as the caller may read it: whom an owner trusts is the owner's own business."""
    if reference.facets.owner == caller.entity or reference.facets.restrictions == _NO_RESTRICTIONS:
        return reference
    return replace(reference, facets=replace(reference.facets, restrictions=_NO_RESTRICTIONS))


def require_owner(caller: Caller, facets: Facets, doing: str) -> None:
    """Raise Denied unless the caller owns the reference."""
    if facets.owner != caller.entity:
        raise Denied(
            f"Only its owner may {doing} a reference; ask the owner to do it.", reason="NOT_THE_OWNER"
        )


def owned_by(caller: Caller, facets: Facets) -> None:
    """Raise InvalidInput unless new metadata names the caller as the owner."""
    if facets.owner != caller.entity:
        raise InvalidInput(
            f"metadata.owner is '{facets.owner}' but the caller is '{caller.entity}'; enrol on your own behalf, "
            "or leave the owner empty.",
            field="metadata.owner",
            reason="OWNER_IS_NOT_CALLER",
        )
