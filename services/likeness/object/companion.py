"""The second way to candidates: references whose local details the probe's details vote for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likeness.index.voting import VotingIndex
from likeness.object import parameters as p
from likeness.object.codebook import codebook
from likeness.object.matcher import Prepared

if TYPE_CHECKING:
    from likeness.domain.samples import Template


class DetailVotes:
    """Implements `likeness.domain.modality.Companion`."""

    def __init__(self) -> None:
        self.index = VotingIndex(
            codebook().words,
            neighbours=p.VOTE_NEIGHBOURS,
            probes=p.PROBES,
            angle_bins=p.ANGLE_BINS,
            scale_bins=p.SCALE_BINS,
        )

    def add(self, row: int, template: Template) -> None:
        """See `Companion.add`."""
        details = Prepared.from_bytes(template.detail).details
        self.index.add(row, details.codes, details.turn, details.octave)

    def remove(self, row: int) -> None:
        """See `Companion.remove`."""
        self.index.remove(row)

    def search(self, probe: Template, count: int, mask: NDArray[np.bool_]) -> list[int]:
        """See `Companion.search`; a reference counts with the better of the plain and the mirrored probe."""
        prepared = Prepared.from_bytes(probe.detail)
        best: dict[int, float] = {}
        for details in (prepared.details, prepared.mirrored):
            if details is None:
                continue
            rows, votes = self.index.search(details.codes, details.turn, details.octave, count, mask)
            for row, vote in zip(rows.tolist(), votes.tolist(), strict=True):
                best[row] = max(vote, best.get(row, 0.0))
        return sorted(best, key=lambda row: (-best[row], row))[:count]
