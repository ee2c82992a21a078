"""Several shards as one: their answers summed, ordered and marked as partial where one is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from likeness.domain.deadline import Deadline
from likeness.domain.errors import Unavailable
from likeness.domain.modality import Clutter
from likeness.domain.references import Facets
from likeness.domain.scope import Scope
from likeness.engine.answering import Timings
from likeness.engine.shard import (
    Progress,
    Scored,
    Shard,
    ShardAnswer,
    ShardQuery,
    ShardStatus,
    no_progress,
    place,
)

T = TypeVar("T")


def ranked(scored: Iterable[Scored]) -> list[Scored]:
    """Best first; equal scores in order of enrolment, so that an answer can be repeated."""
    return sorted(scored, key=lambda entry: (-entry[1].value, entry[0]))


def merged(query: ShardQuery, answers: Sequence[ShardAnswer], shards: int) -> ShardAnswer:
    """The answer of all shards together, from at least one of so many.

    Counts are summed, the position is that of the shard that is furthest behind, and a gallery is unknown where
    every shard says so, and none is missing.
    """
    of_probes = zip(*(answer.scored for answer in answers), strict=True)
    scored = (ranked(entry for part in parts for entry in part) for parts in of_probes)
    complete = len(answers) == shards
    unknown = set.intersection(*(set(answer.unknown_galleries) for answer in answers)) if complete else ()
    return ShardAnswer(
        scored=tuple(tuple(best[: query.count] if query.exhaustive else best) for best in scored),
        searched=sum(answer.searched for answer in answers),
        elsewhere=sum(answer.elsewhere for answer in answers),
        position=min(answer.position for answer in answers),
        generation="+".join(dict.fromkeys(answer.generation for answer in answers)),
        unknown_galleries=tuple(sorted(unknown)),
        hit_only=any(answer.hit_only for answer in answers),
        answered=sum(answer.answered for answer in answers) / shards,
        timings=_summed([answer.timings for answer in answers]),
    )


def coverage(answer: ShardAnswer, scope: Scope) -> float:
    """The share of the references in scope that took part, 0..1.

    A shard that did not answer is taken to hold as much as the others, since a digest of the id places a reference.
    0 where every gallery that was named is unknown.
    """
    known = answer.searched + answer.elsewhere
    if known:
        return answer.answered * answer.searched / known
    if answer.unknown_galleries and len(answer.unknown_galleries) == len(scope.galleries):
        return 0.0
    return answer.answered


class Shards:
    """Implements `Shard` over several, each of which holds what `place` gives it of one log.

    A shard that is unavailable makes a search partial, never wrong: its answer says so. What cannot be partial is
    refused. Shards are asked one after the other.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = tuple(shards)

    def search(self, query: ShardQuery, deadline: Deadline, progress: Progress = no_progress) -> ShardAnswer:
        """See `Shard.search`: what is common in the gallery is learnt of every shard before any compares."""
        clutter = tuple(_plain(one) for one in self.clutter(query, deadline))
        asked = replace(query, clutter=clutter) if any(clutter) else query
        hears = _Sum(progress)
        timings = Timings()

        def ask(shard: Shard) -> ShardAnswer:
            answer = shard.search(asked, deadline, hears.part())
            timings.include(answer.timings)
            return answer

        with timings.put_on_errors():
            answers = self._of_available(ask)
        return merged(asked, answers, len(self._shards))

    def clutter(self, query: ShardQuery, deadline: Deadline) -> tuple[Clutter | None, ...]:
        """See `Shard.clutter`; of the shards that are available."""
        found = self._of_available(lambda shard: shard.clutter(query, deadline))
        return tuple(_total(parts) for parts in zip(*found, strict=True))

    def wait_for(self, position: int, deadline: Deadline) -> None:
        """See `Shard.wait_for`; a shard that is unavailable is not waited for."""
        self._of_available(lambda shard: shard.wait_for(position, deadline))

    def facets(self, reference_id: str) -> Facets | None:
        """See `Shard.facets`: of the one shard that would hold it, so that no time or error tells whether it does.

        Raises:
            Unavailable: that shard does not answer.
        """
        try:
            holder = place(reference_id, len(self._shards))
        except ValueError:
            return None
        return self._shards[holder].facets(reference_id)

    def enrolled(self, scope: Scope, after: int) -> NDArray[np.int64]:
        """See `Shard.enrolled`.

        Raises:
            Unavailable: a shard does not answer.
        """
        return np.sort(np.concatenate([shard.enrolled(scope, after) for shard in self._shards]))

    def status(self) -> ShardStatus:
        """See `Shard.status`.

        Raises:
            Unavailable: a shard does not answer.
        """
        found = [shard.status() for shard in self._shards]
        return ShardStatus(
            position=min(status.position for status in found),
            references=sum(status.references for status in found),
            tail=sum(status.tail for status in found),
            generation="+".join(dict.fromkeys(status.generation for status in found)),
            kind="+".join(dict.fromkeys(status.kind for status in found)),
        )

    def _of_available(self, ask: Callable[[Shard], T]) -> list[T]:
        """What each shard answers that can be reached.

        Raises:
            Unavailable: none can.
        """
        answers: list[T] = []
        missing: Unavailable | None = None
        for shard in self._shards:
            try:
                answers.append(ask(shard))
            except Unavailable as error:
                missing = error
        if not answers and missing is not None:
            raise missing
        return answers


class _Sum:
    """Adds up the progress of several shards; the total grows while not every one has begun."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._parts: list[tuple[int, int]] = []

    def part(self) -> Progress:
        """The progress of one more shard."""
        number = len(self._parts)
        self._parts.append((0, 0))

        def hear(compared: int, total: int) -> None:
            self._parts[number] = compared, total
            self._progress(sum(part[0] for part in self._parts), sum(part[1] for part in self._parts))

        return hear


def _summed(timings: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in timings:
        for stage, seconds in one.items():
            total[stage] = total.get(stage, 0.0) + seconds
    return total


def _total(parts: Sequence[Clutter | None]) -> Clutter | None:
    known = [part for part in parts if part is not None]
    return reduce(add, known) if known else None


def _plain(clutter: Clutter | None) -> Clutter | None:
    """What a comparison needs of it, without what only adding up needs."""
    return None if clutter is None else Clutter(clutter.counts, clutter.references)
