"""The rectangle of two photographs that lie edge on edge in which they differ: what a frame is around.

Text or a banner over a copy leaves some that agrees between the letters, and a sticker is small; another thing in
the same frame empties its whole rectangle of agreement.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likeness.object import parameters as p

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Counts = NDArray[np.float64]


def emptied(sides: Sequence[tuple[Floats, Flags]], size: tuple[float, float]) -> float:
    """The share of the cells with details that one rectangle has in which next to nothing agrees: 0..1.

    Next to nothing of the details of either side, where enough of one of them would if as many agreed as elsewhere.
    Of all such rectangles of cells the one counts that has the most cells with details of which none agrees.

    Args:
        sides: of each photograph, where its details are, float32 [n, 2], and which agree, bool [n].
        size: width and height of the photographs, in the unit of the details.
    """
    held = np.stack([_cells(at, size) for at, _ in sides])
    agreeing = np.stack([_cells(at[agrees], size) for at, agrees in sides])
    within, agreed = _rectangles(held), _rectangles(agreeing)
    elsewhere = held.sum((1, 2))[:, None, None] - within
    expected = (agreeing.sum((1, 2))[:, None, None] - agreed) / np.maximum(elsewhere, 1.0) * within
    empty = (agreed <= p.FEW_IN_RECTANGLE * expected).all(0) & (expected >= p.EXPECTED_IN_RECTANGLE).any(0)
    shown = held.any(0)
    silent = _rectangles(np.asarray(shown & ~agreeing.any(0), np.float64))
    return float((silent * empty).max() / max(1, np.count_nonzero(shown)))


def _cells(at: Floats, size: tuple[float, float]) -> Counts:
    """How many of the points float32 [n, 2] lie in each cell of a photograph: float64 [c, c], by row and column."""
    column, row = np.clip((at * (p.CELLS / np.array(size))).astype(np.int64), 0, p.CELLS - 1).T
    counts = np.bincount(row * p.CELLS + column, minlength=p.CELLS**2)
    return counts.reshape(p.CELLS, p.CELLS).astype(np.float64)


def _rectangles(cells: Counts) -> Counts:
    """The sums of float64 [..., c, c] over every rectangle: float64 [..., r, r], by intervals of rows, columns."""
    start, end = np.triu_indices(p.CELLS + 1, 1)
    whole = np.zeros((*cells.shape[:-2], p.CELLS + 1, p.CELLS + 1))
    whole[..., 1:, 1:] = cells.cumsum(-2).cumsum(-1)
    rows = whole[..., end, :] - whole[..., start, :]
    return np.asarray(rows[..., end] - rows[..., start])
