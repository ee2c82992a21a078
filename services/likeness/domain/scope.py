"""Who may use which references: the one place that yields the allowed set.

A `Scope` is one predicate over a reference's facets. The index asks it once per distinct combination of facets
and makes the bitmap of rows that take part, before anything is scored; the same predicate is asked again of
every reference that is read from the store for an answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from likeness.domain.access import Level
from likeness.domain.references import Caller, Category, Facets, Status


@dataclass(frozen=True, slots=True)
class Scope:
    """The references that a caller may use for one request: rights, narrowed by the request's own filters."""

    caller: Caller
    galleries: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    statuses: frozenset[Status] = frozenset({Status.ACTIVE})

    @property
    def key(self) -> Hashable:
        """Equal for scopes that allow the same references."""
        return rights(self.caller), self.galleries, self.owners, self.categories, self.statuses

    def allows(self, facets: Facets) -> bool:
        """Whether a reference with these facets is in this scope, its expiry left aside."""
        return (
            facets.status in self.statuses
            and (not self.owners or facets.owner in self.owners)
            and (not self.galleries or bool(facets.galleries & self.galleries))
            and (not self.categories or facets.category in self.categories)
            and may_use(self.caller, facets)
        )

    def admits(self, facets: Facets, *, now: int) -> bool:
        """Whether a reference is in this scope at `now` (Unix seconds)."""
        return (facets.expires_at is None or facets.expires_at > now) and self.allows(facets)


def rights(caller: Caller) -> Hashable:
    """Equal for callers who may use the same references."""
    grant = caller.grant
    return caller.entity, caller.purpose, grant.country, grant.groups, grant.disclosure


def may_use(caller: Caller, facets: Facets) -> bool:
    """Whether the caller has a right to the reference at all: by the policy, and unless it is the owner by the
    owner's own limits too."""
    if caller.grant.disclosure.level(facets) is Level.HIDDEN:
        return False
    return facets.owner == caller.entity or facets.restrictions.admits(caller)


def visible(caller: Caller, facets: Facets, *, now: int) -> bool:
    """Whether the caller may know of the reference: its owner always, others while active and open to them."""
    if facets.owner == caller.entity:
        return may_use(caller, facets)
    return Scope(caller).admits(facets, now=now)


def may_know(caller: Caller, facets: Facets) -> bool:
    """As `visible`, the expiry of the reference left aside."""
    return may_use(caller, facets) if facets.owner == caller.entity else Scope(caller).allows(facets)
