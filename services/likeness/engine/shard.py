"""The port of a shard: a part of a gallery, with all that is needed to search it where its templates are.

Whoever asks a shard sees references by id, with scores, and never a row, a mask or an index. What crosses the seam
is plain values that can be pickled, but for a deadline and for progress, which belong to the call: a shard in
another process gets the time that is left. Every shard obeys the same contract, which one suite of tests checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Score
from likeness.domain.deadline import Deadline
from likeness.domain.modality import Clutter
from likeness.domain.references import Facets
from likeness.domain.samples import Template
from likeness.domain.scope import Scope

Progress = Callable[[int, int], None]
"""Called now and then with how many references were compared, and how many there are to compare."""

Scored = tuple[str, Score]
"""A reference by its id, and what it scored."""


def no_progress(compared: int, total: int) -> None:
    """Progress that nobody asked for."""


@dataclass(frozen=True, eq=False, slots=True)
class ShardQuery:
    """One search, as a shard is asked.

    Attributes:
        scope: the references that may take part.
        now: Unix seconds; what expired by then takes no part.
        probes: what is compared, one template per presentation.
        count: references that each way to candidates finds for a probe, at most; of an exhaustive search, the best
            of all that are answered.
        exhaustive: every reference in scope is compared, exactly.
        min_position: the log position that a shard must have applied; it waits for that.
        clutter: of every probe, over all shards; empty where the shard is the only one, and learns it itself.
    """

    scope: Scope
    now: int
    probes: tuple[Template, ...]
    count: int
    exhaustive: bool = False
    min_position: int = 0
    clutter: tuple[Clutter | None, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class ShardAnswer:
    """What a shard found.

    Attributes:
        scored: for every probe the references that were compared, best first; equal scores by id, and so in order
            of enrolment.
        searched: references in scope that took part.
        elsewhere: references in scope that could not, because their templates live in another space.
        position: the log position that the shard had applied.
        generation: the name of the index that was searched.
        unknown_galleries: those of the scope's in which there is nothing that its caller may know of.
        hit_only: whether there are also references, within the scope's filters, of which its caller may be shown no
            more than a hit.
        answered: the share of the shards that answered, 0..1.
        timings: seconds by stage.
    """

    scored: tuple[tuple[Scored, ...], ...]
    searched: int
    elsewhere: int
    position: int
    generation: str
    unknown_galleries: tuple[str, ...] = ()
    hit_only: bool = False
    answered: float = 1.0
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """How a shard stands: `position` in the log; `references` held, suspended and expired ones included; `tail`,
    vectors that its index has not sorted in yet; `generation` and its `kind`."""

    position: int
    references: int
    tail: int
    generation: str
    kind: str


class Shard(Protocol):
    """A part of the references of one modality. Safe to use from many threads.

    Every method raises Unavailable where the shard cannot be reached.
    """

    def search(self, query: ShardQuery, deadline: Deadline, progress: Progress = no_progress) -> ShardAnswer:
        """The references that resemble the probes.

        `progress` hears of what an exhaustive search compares; others are over before it would matter.

        Raises:
            DeadlineExceeded: time ran out.
            Precondition, Exhausted: as `wait_for`.
        """

    def clutter(self, query: ShardQuery, deadline: Deadline) -> tuple[Clutter | None, ...]:
        """How common each detail of every probe is among the references in scope, to be added up over shards.

        None where the modality has no such notion.
        """

    def wait_for(self, position: int, deadline: Deadline) -> None:
        """Return once a log position has been applied.

        Raises:
            Precondition: the log has no such position, so that waiting would be in vain.
            DeadlineExceeded: it was not, in time.
            Exhausted: too many callers wait already.
        """

    def facets(self, reference_id: str) -> Facets | None:
        """The facets of a reference; None where the shard holds none of that id, or it was expunged."""

    def enrolled(self, scope: Scope, after: int) -> NDArray[np.int64]:
        """The log positions, ascending and after `after`, of the enrolment of what the scope's caller may list."""

    def status(self) -> ShardStatus:
        """How the shard stands."""


def place(reference_id: str, shards: int) -> int:
    """Which of so many shards a reference belongs to, 0..shards - 1: by a digest of its id, the same for ever."""
    digest = hashlib.blake2b(UUID(reference_id).bytes, digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


def part_of(number: int, shards: int) -> Callable[[str], bool]:
    """Whether a reference belongs to the shard of that number of so many."""
    return lambda reference_id: place(reference_id, shards) == number
