"""Who may use which references, and how much of each may be shown: the one place that yields the allowed set.

A `Scope` is one predicate over a reference's facets. The index asks it once per distinct combination of facets
and makes the bitmap of rows that take part, before anything is scored; the same predicate is asked again of
every reference that is read from the store for an answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from likeness.domain.access import Level
from likeness.domain.references import Caller, Category, Facets, Restrictions, Status

NAMED = frozenset({Level.CANDIDATE, Level.FULL})
"""The levels at which a caller may know the identifier of a reference."""

HIT_ONLY = frozenset({Level.HIT})
"""The level at which it may know no more than that the owner holds such a reference."""


STAND_IN = Facets("", restrictions=Restrictions(denied_entities=frozenset({""})))
"""What is judged in place of a reference that does not exist, so that it takes the time of one that is hidden."""


def level(caller: Caller, facets: Facets) -> Level:
    """How much of a reference the caller may see: the lower of what the policy shows and, unless the caller is the
    owner, of what the owner does. Its status and expiry are left aside."""
    shown = caller.grant.disclosure.level(facets)
    admitted = facets.restrictions.admits(caller)  # of what is hidden too, or time would tell by whom
    if shown is Level.HIDDEN or facets.owner == caller.entity:
        return shown
    if not admitted:
        return Level.HIDDEN
    limit = facets.restrictions.disclosure
    return shown if limit is None else min(shown, limit)


@dataclass(frozen=True, slots=True)
class Scope:
    """The references that a caller may use for one request: rights, narrowed by the request's own filters.

    `levels`: those of which that much may be shown; the others take no part.
    """

    caller: Caller
    galleries: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    statuses: frozenset[Status] = frozenset({Status.ACTIVE})
    levels: frozenset[Level] = NAMED

    @property
    def key(self) -> Hashable:
        """Equal for scopes that allow the same references."""
        return rights(self.caller), self.galleries, self.owners, self.categories, self.statuses, self.levels

    @property
    def hit_only(self) -> Scope:
        """The same, of the references of which no more may be shown than that there is one."""
        return replace(self, levels=HIT_ONLY)

    def allows(self, facets: Facets) -> bool:
        """Whether a reference with these facets is in this scope, its expiry left aside."""
        return self.matches(facets) and self.shows(facets)

    def matches(self, facets: Facets) -> bool:
        """Whether the request asks for such a reference, whoever may see it."""
        return (
            facets.status in self.statuses
            and (not self.owners or facets.owner in self.owners)
            and (not self.galleries or bool(facets.galleries & self.galleries))
            and (not self.categories or facets.category in self.categories)
        )

    def shows(self, facets: Facets) -> bool:
        """Whether the caller may be shown such a reference in a request like this, whatever it asks for."""
        return facets.status in self.statuses and level(self.caller, facets) in self.levels

    @property
    def shows_key(self) -> Hashable:
        """Equal for scopes that show the same references."""
        return rights(self.caller), self.statuses, self.levels

    def admits(self, facets: Facets, *, now: int) -> bool:
        """Whether a reference is in this scope at `now` (Unix seconds)."""
        return (facets.expires_at is None or facets.expires_at > now) and self.allows(facets)


def rights(caller: Caller) -> Hashable:
    """Equal for callers who may see as much of every reference."""
    grant = caller.grant
    return caller.entity, caller.purpose, grant.country, grant.groups, grant.disclosure


def visible(caller: Caller, facets: Facets, *, now: int) -> bool:
    """Whether the caller may know of the reference, by its identifier: its owner's staff as far as the policy lets
    them, others while it is active and open to them."""
    if facets.owner == caller.entity:
        return level(caller, facets) in NAMED
    return Scope(caller).admits(facets, now=now)


def may_know(caller: Caller, facets: Facets) -> bool:
    """As `visible`, the expiry of the reference left aside."""
    return level(caller, facets) in NAMED if facets.owner == caller.entity else Scope(caller).allows(facets)
