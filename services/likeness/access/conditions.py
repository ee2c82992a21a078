"""Conditions over the facets of a reference: what is left of policies once everything else about a call is known.

Conditions are values: equal ones allow the same references, and they are part of the question that a shard is
asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from likeness.domain.access import Level
from likeness.domain.references import Category, Facets, Status


@dataclass(frozen=True, slots=True)
class Constant:
    """The same of every reference."""

    value: bool

    def holds(self, facets: Facets) -> bool:
        """The value."""
        del facets
        return self.value


@dataclass(frozen=True, slots=True)
class OwnerIn:
    """The owner is one of these."""

    owners: frozenset[str]

    def holds(self, facets: Facets) -> bool:
        """Whether it is."""
        return facets.owner in self.owners


@dataclass(frozen=True, slots=True)
class CategoryIn:
    """The category is one of these."""

    categories: frozenset[Category]

    def holds(self, facets: Facets) -> bool:
        """Whether it is."""
        return facets.category in self.categories


@dataclass(frozen=True, slots=True)
class StatusIn:
    """The status is one of these."""

    statuses: frozenset[Status]

    def holds(self, facets: Facets) -> bool:
        """Whether it is."""
        return facets.status in self.statuses


@dataclass(frozen=True, slots=True)
class InSomeGallery:
    """The reference is in at least one of these galleries."""

    galleries: frozenset[str]

    def holds(self, facets: Facets) -> bool:
        """Whether it is."""
        return not self.galleries.isdisjoint(facets.galleries)


@dataclass(frozen=True, slots=True)
class InEveryGallery:
    """The reference is in all of these galleries."""

    galleries: frozenset[str]

    def holds(self, facets: Facets) -> bool:
        """Whether it is."""
        return self.galleries <= facets.galleries


@dataclass(frozen=True, slots=True)
class InNoGallery:
    """The reference is in no gallery at all."""

    def holds(self, facets: Facets) -> bool:
        """Whether it is."""
        return not facets.galleries


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition

    def holds(self, facets: Facets) -> bool:
        """Whether it does not."""
        return not self.condition.holds(facets)


@dataclass(frozen=True, slots=True)
class Every:
    """All of them hold."""

    conditions: frozenset[Condition]

    def holds(self, facets: Facets) -> bool:
        """Whether they do."""
        return all(condition.holds(facets) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of them holds."""

    conditions: frozenset[Condition]

    def holds(self, facets: Facets) -> bool:
        """Whether one does."""
        return any(condition.holds(facets) for condition in self.conditions)


Condition = (
    Constant
    | OwnerIn
    | CategoryIn
    | StatusIn
    | InSomeGallery
    | InEveryGallery
    | InNoGallery
    | Not
    | Every
    | Some
)

ALWAYS = Constant(True)
NEVER = Constant(False)


def negated(condition: Condition) -> Condition:
    """The opposite, in its shortest form."""
    match condition:
        case Constant(value):
            return Constant(not value)
        case Not(inner):
            return inner
        case CategoryIn(categories):
            return CategoryIn(frozenset(Category) - categories)
        case StatusIn(statuses):
            return StatusIn(frozenset(Status) - statuses)
    return Not(condition)


def every(*conditions: Condition) -> Condition:
    """All of them, in its shortest form."""
    parts: set[Condition] = set()
    for condition in conditions:
        parts |= condition.conditions if isinstance(condition, Every) else {condition}
    if NEVER in parts:
        return NEVER
    parts.discard(ALWAYS)
    if not parts:
        return ALWAYS
    return parts.pop() if len(parts) == 1 else Every(frozenset(parts))


def some(*conditions: Condition) -> Condition:
    """At least one of them, in its shortest form."""
    parts: set[Condition] = set()
    for condition in conditions:
        parts |= condition.conditions if isinstance(condition, Some) else {condition}
    if ALWAYS in parts:
        return ALWAYS
    parts.discard(NEVER)
    if not parts:
        return NEVER
    return parts.pop() if len(parts) == 1 else Some(frozenset(parts))


@dataclass(frozen=True, slots=True, eq=False)
class ByConditions:
    """Implements `Disclosure`: a level is reached where its condition holds, and those of the levels before it."""

    hit: Condition
    candidate: Condition
    full: Condition
    _hash: int

    @classmethod
    def of(cls, hit: Condition, candidate: Condition, full: Condition) -> ByConditions:
        """With its hash, which is asked for at every use of a cached mask."""
        return cls(hit, candidate, full, hash((hit, candidate, full)))

    def level(self, facets: Facets) -> Level:
        """How much of a reference with these facets may be shown; its owner's own limits are left aside.

        All conditions are asked in any case, so that it takes as long for what is hidden as for what is not.
        """
        hit, candidate, full = (one.holds(facets) for one in (self.hit, self.candidate, self.full))
        if not hit:
            return Level.HIDDEN
        if not candidate:
            return Level.HIT
        return Level.FULL if full else Level.CANDIDATE

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[object, ...]:
        return ByConditions.of, (self.hit, self.candidate, self.full)  # hashes of texts differ by process

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, ByConditions):
            return NotImplemented
        mine = (self.hit, self.candidate, self.full)
        return mine == (other.hit, other.candidate, other.full)


NOTHING = ByConditions.of(NEVER, NEVER, NEVER)
"""No reference at all."""
