"""The second way to candidates: references whose local details the probe's details vote for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.domain.modality import Clutter, Proposal
from likeness.domain.samples import Template
from likeness.index.voting import Asked, Votes, VotingIndex
from likeness.inference.turns import Turns
from likeness.object import parameters as p
from likeness.object.codebook import codebook
from likeness.object.local import Details, first
from likeness.object.matcher import PreparedObject


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
            angle_bins=p.ANGLE_BINS,
            scale_bins=p.SCALE_BINS,
            near=p.NEAR,
            slack=p.SLACK,
            wide_near=p.WIDE_NEAR,
            wide_slack=p.WIDE_SLACK,
            sure_from=p.SURE_FROM,
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
        with self._turns.one():
            return self._search(probe, count, mask)

    def _search(self, probe: Template, count: int, mask: NDArray[np.bool_]) -> Proposal:
        """In a turn that is held."""
        prepared = PreparedObject.from_bytes(probe.detail)
        sides = [first(prepared.details, p.VOTING_DETAILS)]
        if prepared.mirrored is not None:
            sides.append(first(prepared.mirrored, p.VOTING_MIRRORED))
        answers = self._turns.spread(lambda part: [self._vote(one, count, mask) for one in part], sides, 1)
        # What is as common in its mirror image is at the same place of the list.
        common = answers[0].common.copy()
        for found in answers[1:]:
            common[: len(found.common)] = np.maximum(common[: len(found.common)], found.common)
        best: dict[int, float] = {}
        for found in answers:
            for row, vote in zip(found.rows.tolist(), found.votes.tolist(), strict=True):
                best[row] = max(vote, best.get(row, 0.0))
        rows = sorted(best, key=lambda row: (-best[row], row))[:count]
        return Proposal(rows, Clutter(common, self.index.held(mask)))

    def clutter(self, probe: Template, mask: NDArray[np.bool_]) -> Clutter:
        """See `Companion.clutter`: what many references hold (a carpet, a ruler, a watermark)."""
        return self.search(probe, 0, mask).clutter

    def _vote(self, details: Details, count: int, mask: NDArray[np.bool_]) -> Votes:
        return self.index.search(Asked(details.codes, details.turn, details.octave), count, mask)
