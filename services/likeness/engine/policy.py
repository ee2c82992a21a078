"""What a caller may read of a reference, and what its owner alone may do; `domain.scope` says how much that is."""

from __future__ import annotations

from dataclasses import replace

from likeness.domain.access import Level
from likeness.domain.answers import Score
from likeness.domain.errors import Denied, InvalidInput
from likeness.domain.references import Caller, Facets, Reference, Restrictions
from likeness.domain.scope import level

_NO_RESTRICTIONS = Restrictions()


def as_seen_by(caller: Caller, reference: Reference) -> Reference:
    """The reference as the caller may read it: the one place that takes out what it may not.

    In full, others do not read its restrictions: whom an owner trusts is the owner's own business. Otherwise there
    are its identifier, owner and category alone; whoever may not know even of these is not to be answered with it,
    unless it has just written it.
    """
    if level(caller, reference.facets) < Level.FULL:
        return Reference(
            reference.reference_id,
            reference.modality,
            Facets(reference.facets.owner, category=reference.facets.category),
            level=Level.CANDIDATE,
        )
    if reference.facets.owner == caller.entity or reference.facets.restrictions == _NO_RESTRICTIONS:
        return reference
    return replace(reference, facets=replace(reference.facets, restrictions=_NO_RESTRICTIONS))


def score_as_seen(shown: Level, score: Score) -> Score:
    """The score as the caller may read it: its parts tell of the reference, such as which fingers it has."""
    return score if shown is Level.FULL else replace(score, parts={})


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
