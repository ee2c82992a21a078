"""Who may use which references: the one place that yields the allowed set.

A `Scope` is one predicate over a reference's facets. The index asks it once per distinct combination of facets
and makes the bitmap of rows that take part, before anything is scored; the same predicate is asked again of
every reference that is read from the store for an answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

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
        caller = self.caller
        return caller.entity, caller.purpose, self.galleries, self.owners, self.categories, self.statuses

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


def may_use(caller: Caller, facets: Facets) -> bool:
    """Whether the caller has a right to the reference at all; the owner always has."""
    return facets.owner == caller.entity or facets.restrictions.admits(caller)


def visible(caller: Caller, facets: Facets, *, now: int) -> bool:
    """Whether the caller may know of the reference: its owner always, others while active and open to them."""
    if facets.owner == caller.entity:
        return True
    return Scope(caller).admits(facets, now=now)


def may_know(caller: Caller, facets: Facets) -> bool:
    """As `visible`, the expiry of the reference left aside."""
    return facets.owner == caller.entity or Scope(caller).allows(facets)
