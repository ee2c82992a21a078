"""Hits: which owners hold something that resembles a probe, of which no more may be shown than that.

They are looked for by themselves, after the candidates and apart from them: how many references there are of which
no more may be shown, and how well they do, changes neither ranks nor counts nor which candidates there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from likeness.domain.answers import Hit
from likeness.domain.calibration import Calibration
from likeness.domain.deadline import Deadline
from likeness.domain.modality import Modality
from likeness.engine.answering import ObserveStage, Timings
from likeness.engine.memory import Memory
from likeness.engine.shard import Scored, Shard, ShardAnswer, ShardQuery

HIT_FMR = 1e-4
"""The false match rate that a hit has at most, where the calibration can measure it: its owner is going to be
asked, and nobody sees a score by which to leave it."""

SHORTLIST_FOR = 100
"""A shortlist of hits is made as if so many candidates were asked for, whatever k is, so that k tells nothing of
them."""

Holders = Mapping[str, tuple[str, ...]]
"""By owner, the references that resemble a probe; the caller is never answered with more than the owners."""

NONE: Holders = {}


@dataclass(frozen=True, eq=False, slots=True)
class HitSearch:
    """Looks for hits among the references of one modality."""

    modality: Modality
    shard: Shard
    memory: Memory
    observe: ObserveStage

    def holders(
        self, query: ShardQuery, answer: ShardAnswer, max_fmr: float | None, deadline: Deadline
    ) -> tuple[Holders, ...]:
        """For every probe of a search that its shards have answered, who holds something that resembles it.

        Nobody, where scores cannot be rated: nothing then says that they resemble each other.

        Raises what `Shard.search` raises.
        """
        calibration = self.modality.calibration
        if not answer.hit_only or calibration is None:
            return (NONE,) * len(query.probes)
        least = hit_threshold(calibration, max_fmr)
        asked = replace(
            query, scope=query.scope.hit_only, count=self.modality.shortlist(SHORTLIST_FOR), clutter=()
        )
        with Timings(self.observe) as timings, timings.stage("hits"):
            found = self.shard.search(asked, deadline)
            return tuple(
                self._held(asked, [entry for entry in scored if entry[1].value >= least])
                for scored in found.scored
            )

    def _held(self, asked: ShardQuery, scored: list[Scored]) -> Holders:
        """Those of the references that are still no more than hits by what is stored of them, by owner."""
        holders: dict[str, tuple[str, ...]] = {}
        for reference_id, reference in self.memory.references(entry[0] for entry in scored).items():
            if asked.scope.admits(reference.facets, now=asked.now):
                owner = reference.facets.owner
                holders[owner] = (*holders.get(owner, ()), reference_id)
        return holders


def hits(holders: Holders, modality: str) -> tuple[Hit, ...]:
    """What the caller is answered: each owner once, by name."""
    return tuple(Hit(owner, modality) for owner in sorted(holders))


def hit_threshold(calibration: Calibration, max_fmr: float | None) -> float:
    """The score that a hit has at least.

    Of `max_fmr` only the power of ten below it counts, so that hits cannot be weighed by asking again and again
    with another one.
    """
    rate = HIT_FMR if max_fmr is None else min(HIT_FMR, power_of_ten(max_fmr))
    return calibration.threshold(max(rate, calibration.floor))


def power_of_ten(rate: float) -> float:
    """The power of ten that is not above a rate."""
    return 10.0 ** math.floor(math.log10(rate) + 1e-9)
