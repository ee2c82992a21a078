"""The second way to candidates: references whose local details the probe's details vote for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from likeness.domain.modality import Clutter, Proposal
from likeness.domain.samples import Template
from likeness.index.nearest import Agreement, NearestInPart, Votes
from likeness.index.voting import Asked, VotingIndex
from likeness.inference.concurrency.turns import Turns
from likeness.object import parameters as p
from likeness.object.codebook import codebook
from likeness.object.local import first
from likeness.object.matcher import PreparedObject

T = TypeVar("T")

AGREEMENT = Agreement(
    angle_bins=p.ANGLE_BINS,
    scale_bins=p.SCALE_BINS,
    near=p.NEAR,
    slack=p.SLACK,
    wide_near=p.WIDE_NEAR,
    wide_slack=p.WIDE_SLACK,
    sure_from=p.SURE_FROM,
)
"""Of the neighbours of a probe's details."""


class DetailVotes:
    """Implements `likeness.domain.modality.Companion`.

    Args:
        turns: at computing; the mirrored probe votes in parallel with the plain one where a core is idle.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.index = VotingIndex(
            codebook().words,
            neighbours=p.VOTE_NEIGHBOURS,
            probes=p.PROBES,
            agreement=AGREEMENT,
        )

    def add(self, row: int, template: Template) -> None:
        """See `Companion.add`."""
        details = PreparedObject.from_bytes(template.detail).details
        words = details.words if len(details.words) else codebook().nearest(details.codes)
        self.index.add(row, details.codes, words, details.turn, details.octave)

    def remove(self, row: int) -> None:
        """See `Companion.remove`."""
        self.index.remove(row)

    def search(self, probe: Template, count: int, mask: NDArray[np.bool_]) -> Proposal:
        """See `Companion.search`; a reference counts with the better of the plain and the mirrored probe."""

        def vote(asked: Asked) -> Votes:
            return self.index.search(asked, count, mask)

        answers = self._of_each_side(vote, probe)
        best: dict[int, float] = {}
        for found in answers:
            for row, votes in zip(found.rows.tolist(), found.votes.tolist(), strict=True):
                best[row] = max(votes, best.get(row, 0.0))
        rows = sorted(best, key=lambda row: (-best[row], row))[:count]
        references = self.index.held(mask)
        return Proposal(rows, Clutter(_common(answers, references), references))

    def clutter(self, probe: Template, mask: NDArray[np.bool_]) -> Clutter:
        """See `Companion.clutter`: what many references hold (a carpet, a ruler, a watermark)."""

        def look(asked: Asked) -> NearestInPart:
            return self.index.nearest(asked, mask)

        return SharedDetails.of(self._of_each_side(look, probe), self.index.held(mask))

    def _of_each_side(self, look: Callable[[Asked], T], probe: Template) -> list[T]:
        """What is found with the probe and with its mirror image, side by side where a core is idle."""
        prepared = PreparedObject.from_bytes(probe.detail)
        sides = [first(prepared.details, p.VOTING_DETAILS)]
        if prepared.mirrored is not None:
            sides.append(first(prepared.mirrored, p.VOTING_MIRRORED))
        asked = [Asked(side.codes, side.turn, side.octave) for side in sides]
        with self._turns.one():
            return self._turns.spread(lambda part: [look(one) for one in part], asked, 1)


@dataclass(frozen=True, eq=False, slots=True)
class SharedDetails(Clutter):
    """The clutter of a part of a scope, with what it takes to be added to that of another part.

    `nearest`: the neighbours of the details of the probe and, where there is one, of its mirror image.
    """

    nearest: tuple[NearestInPart, ...]

    @classmethod
    def of(cls, nearest: Sequence[NearestInPart], references: int) -> Self:
        """The clutter that neighbours among so many references show."""
        found = [one.counting.found(AGREEMENT, 0) for one in nearest]
        return cls(_common(found, references), references, tuple(nearest))

    def __add__(self, other: Self) -> Self:
        """The clutter of both parts: that of the nearest of both, not the sum of what each part took for near."""
        nearest = [one + another for one, another in zip(self.nearest, other.nearest, strict=True)]
        return self.of(nearest, self.references + other.references)


def _common(answers: Sequence[Votes], references: int) -> NDArray[np.int64]:
    """How common each detail is, in whichever image it is more common; in at most so many references."""
    # What is as common in its mirror image is at the same place of the list.
    common = answers[0].common.copy()
    for found in answers[1:]:
        common[: len(found.common)] = np.maximum(common[: len(found.common)], found.common)
    # One reference may hold several details that are equally far.
    return np.minimum(common, references)
