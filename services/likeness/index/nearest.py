"""What the stored details nearest to those of a probe say: which rows they vote for, and how common each detail is.

All of it follows from the neighbours alone, and those of a whole are the nearest among those of its parts. So parts
of an index that lie on several machines give, put together, what one index of all their rows gives.

Of stored details that are as far as the last neighbour, the order in which they are stored decides which are among
the neighbours. So of these nothing counts but their number, which is the same in every order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bins = NDArray[np.int8]

FEW_ROWS = 64
"""Rows under which many lists are visited: cheaper than missing a neighbour in the next list. Rows that a search
may see and not those of the index, so that others never change its answer."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How neighbours agree.

    Args:
        angle_bins: bins of 360 degrees of turn.
        scale_bins: bins of one doubling of size each.
        near, slack: a stored detail may be of the same place of the same thing as the probe's if it is nearer than
            `near` and at most `slack` farther than the nearest, in units of codes.
        wide_near, wide_slack, sure_from: of a row with `sure_from` such details that agree on one turn and one
            scale, details that agree with them may be so much farther.
    """

    angle_bins: int
    scale_bins: int
    near: float
    slack: float
    wide_near: float
    wide_slack: float
    sure_from: int


@dataclass(frozen=True, eq=False, slots=True)
class Votes:
    """What a probe's details voted for.

    `rows` int64 [m], best first, with `votes` float32 [m]. `common` int64 [n]: for each detail of the probe, how
    many rows hold one that may be of the same place of the same thing, where those as far as the last neighbour are
    taken to be of a row each; at most as many as neighbours are asked for.
    """

    rows: Ints
    votes: Floats
    common: Ints


@dataclass(frozen=True, eq=False, slots=True)
class NearestDetails:
    """The m + 1 stored details nearest to each of n details of a probe, the last a standard alone.

    `distance` float32 [n, m + 1], infinite where there is none; `rows` int64 [n, m + 1] that they belong to, -1
    where there is none; `angle` and `scale` int8 [n, m + 1], their bins of turn and of size against the probe's.
    """

    distance: Floats
    rows: Ints
    angle: Bins
    scale: Bins

    def __add__(self, other: NearestDetails) -> NearestDetails:
        """The nearest of both, of the same details and of other rows, whose numbers are made to differ."""
        beyond = int(self.rows.max(initial=-1)) + 1
        moved = replace(other, rows=np.where(other.rows >= 0, other.rows + beyond, other.rows))
        order = np.argsort(np.hstack([self.distance, moved.distance]), axis=1, kind="stable")
        order = order[:, : self.distance.shape[1]]

        def nearest(one: NDArray[np.generic], another: NDArray[np.generic]) -> NDArray[np.generic]:
            return np.take_along_axis(np.hstack([one, another]), order, axis=1)

        return NearestDetails(
            np.asarray(nearest(self.distance, moved.distance), np.float32),
            np.asarray(nearest(self.rows, moved.rows), np.int64),
            np.asarray(nearest(self.angle, moved.angle), np.int8),
            np.asarray(nearest(self.scale, moved.scale), np.int8),
        )

    def found(self, agreement: Agreement, count: int) -> Votes:
        """The `count` rows with the most votes, and how common each detail is."""
        detail, place = np.nonzero(self.rows[:, :-1] >= 0)
        if not len(detail):
            return Votes(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(len(self.rows), np.int64))
        unique, row = np.unique(self.rows[detail, place], return_inverse=True)
        cells = _Cells(row, self.angle[detail, place], self.scale[detail, place], agreement)
        common = self._common(detail, place, cells)
        votes = cells.fullest(self._worth()[detail, place])[0]
        best = np.argsort(-votes, kind="stable")[:count]
        return Votes(unique[best], votes[best], common)

    def _worth(self) -> Floats:
        """How much nearer each neighbour is than the last one, 0..1; 0 for one that was not found."""
        distance = self.distance
        # Where fewer were found than asked for, the last that was found sets no standard: twice the first does.
        last = np.where(np.isfinite(distance[:, -1]), distance[:, -1], 2.0 * distance[:, 0])[:, None]
        worth = np.zeros((len(distance), distance.shape[1] - 1), np.float32)
        nearer = distance[:, :-1] < distance[:, -1:]
        np.divide(distance[:, :-1], np.maximum(last, 1e-6), out=worth, where=nearer)
        return np.where(nearer, np.clip(1.0 - worth, 0.0, 1.0), np.float32(0))

    def _common(self, detail: Ints, place: Ints, cells: _Cells) -> Ints:
        """How many rows hold each detail, int64 [n], by neighbours that may be of the same place of the same thing.

        Their rows are asked only of those that are nearer than the last, for only these are found in every order.
        """
        rule = cells.agreement
        apart, nearest = self.distance[detail, place], self.distance[detail, 0]
        nearer = apart < self.distance[detail, -1]
        near = apart <= np.minimum(rule.near, nearest + rule.slack)
        wide = apart <= np.minimum(rule.wide_near, nearest + rule.wide_slack)
        agreeing, angle, scale = cells.fullest((near & nearer).astype(np.float32))
        turned = (cells.angle - angle[cells.row]) % rule.angle_bins <= 1
        sized = (cells.scale == scale[cells.row]) | (cells.scale == scale[cells.row] + 1)
        same = nearer & (near | (wide & turned & sized & (agreeing >= rule.sure_from)[cells.row]))
        count = len(self.rows)
        return _distinct(detail[same], cells.row[same], count) + np.bincount(
            detail[near & ~nearer], minlength=count
        )


@dataclass(frozen=True, eq=False, slots=True)
class NearestInPart:
    """The neighbours of a probe's details within a part of what a search may see, of `rows` rows.

    `few` are those of many lists, which count where the whole has fewer than `FEW_ROWS` rows: None where this part
    alone has as many. `many` are those of the usual lists.
    """

    rows: int
    many: NearestDetails
    few: NearestDetails | None

    def __add__(self, other: NearestInPart) -> NearestInPart:
        """Those of both parts, of the same details."""
        rows, few = self.rows + other.rows, None
        if rows < FEW_ROWS and self.few is not None and other.few is not None:
            few = self.few + other.few
        return NearestInPart(rows, self.many + other.many, few)

    @property
    def counting(self) -> NearestDetails:
        """Those that count."""
        return self.many if self.few is None else self.few


@dataclass(frozen=True, eq=False, slots=True)
class _Cells:
    """Where k neighbours vote: place of the row among those found int64 [k], bins of turn and scale int8 [k]."""

    row: Ints
    angle: Bins
    scale: Bins
    agreement: Agreement

    def fullest(self, votes: Floats) -> tuple[Floats, Ints, Ints]:
        """Of each row, the votes in its fullest pair of neighbouring bins of turn and scale, and the first bins."""
        rows = int(self.row.max()) + 1
        angles, scales = self.agreement.angle_bins, self.agreement.scale_bins
        flat = (self.row * angles + self.angle) * scales + self.scale
        bins = np.bincount(flat, votes, rows * angles * scales).reshape(rows, angles, scales)
        both = bins.astype(np.float32)
        both = both + np.roll(both, -1, axis=1)
        both[:, :, :-1] += both[:, :, 1:].copy()
        total = both.reshape(rows, -1)
        place = total.argmax(1)
        return total[np.arange(rows), place], place // scales, place % scales


def _distinct(detail: Ints, rows: Ints, count: int) -> Ints:
    """How many different rows each of `count` details has."""
    if not len(detail):
        return np.zeros(count, np.int64)
    pairs = np.unique(detail * (int(rows.max()) + 1) + rows)
    return np.bincount(pairs // (int(rows.max()) + 1), minlength=count)
