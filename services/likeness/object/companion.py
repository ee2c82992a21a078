"""The second way to candidates: references whose local details the probe's details vote for."""

from __future__ import annotations

from collections.abc import MutableMapping

import numpy as np
from numpy.typing import NDArray

from likeness.domain.samples import Template
from likeness.index.voting import Asked, Found, VotingIndex
from likeness.inference.turns import Turns
from likeness.object import parameters as p
from likeness.object.beside import beside
from likeness.object.codebook import codebook
from likeness.object.local import Details, first
from likeness.object.matcher import Prepared, Weights


class DetailVotes:
    """Implements `likeness.domain.modality.Companion`.

    Args:
        weights: told what the details of each probe are worth: those that many references hold (a carpet, a ruler,
            a watermark) next to nothing. Only references that the search may see are counted.
        turns: at computing; the mirrored probe votes beside the plain one where a core is idle.
    """

    def __init__(self, weights: MutableMapping[Template, Weights], turns: Turns) -> None:
        self._weights = weights
        self._turns = turns
        self.index = VotingIndex(
            codebook().words,
            neighbours=p.VOTE_NEIGHBOURS,
            probes=p.PROBES,
            angle_bins=p.ANGLE_BINS,
            scale_bins=p.SCALE_BINS,
            near=p.NEAR,
            slack=p.SLACK,
        )

    def add(self, row: int, template: Template) -> None:
        """See `Companion.add`."""
        details = Prepared.from_bytes(template.detail).details
        self.index.add(row, details.codes, details.words, details.turn, details.octave)

    def remove(self, row: int) -> None:
        """See `Companion.remove`."""
        self.index.remove(row)

    def search(self, probe: Template, count: int, mask: NDArray[np.bool_]) -> list[int]:
        """See `Companion.search`; a reference counts with the better of the plain and the mirrored probe."""
        prepared = Prepared.from_bytes(probe.detail)
        sides = [first(prepared.details, p.VOTING_DETAILS)]
        if prepared.mirrored is not None:
            sides.append(first(prepared.mirrored, p.VOTING_MIRRORED))
        answers = beside(self._turns, lambda part: [self._vote(one, count, mask) for one in part], sides, 1)
        plain, other = answers[0], answers[-1]
        self._weights[probe] = Weights(
            _worth(plain, len(prepared.details)), _worth(other, len(prepared.mirrored or prepared.details))
        )
        best: dict[int, float] = {}
        for found in answers:
            for row, vote in zip(found.rows.tolist(), found.votes.tolist(), strict=True):
                best[row] = max(vote, best.get(row, 0.0))
        return sorted(best, key=lambda row: (-best[row], row))[:count]

    def _vote(self, details: Details, count: int, mask: NDArray[np.bool_]) -> Found:
        return self.index.search(Asked(details.codes, details.turn, details.octave), count, mask)


def _worth(found: Found, count: int) -> NDArray[np.float32]:
    """1 for details that at most `UNCOMMON` references hold; beyond, it falls with the square of their number.

    Of `count` details the first have voted; of the others nothing is known, and they count as those on average.
    """
    share = p.UNCOMMON / np.maximum(found.common, p.UNCOMMON)
    known = np.asarray(share * share, np.float32)
    return np.pad(known, (0, count - len(known)), constant_values=known.mean() if len(known) else 1.0)
