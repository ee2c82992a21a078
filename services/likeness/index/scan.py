"""Exact inner-product scans of plain arrays, and the merging of what several scans found.

faiss takes its thread count per calling thread (an OpenMP setting), so every entry point sets it: one search
uses one core, and parallelism is across searches.
"""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from likeness.index.rows import Mask

Vectors = NDArray[np.float32]
Neighbours = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores float32 [q, k], descending, and where they were found, int64 [q, k]; padded with -inf and -1."""

GATHER_SHARE = 0.08
"""Allowed share under which copying the allowed vectors together beats testing every one of them: at 65,536 x 128
0.12 ms against 0.19 ms for a share of .05, 0.28 ms against 0.25 ms for .1."""


def one_thread() -> None:
    """Make faiss use the calling thread alone."""
    faiss.omp_set_num_threads(1)


def nothing(queries: int, k: int) -> Neighbours:
    """The answer where nothing may be found."""
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), -1, np.int64)


def scan(queries: Vectors, vectors: Vectors, k: int, allowed: Mask | None = None) -> Neighbours:
    """The best `k` of `vectors` [n, d] for each of `queries` [q, d], by inner product.

    Positions are rows of `vectors`; `allowed` bool [n] leaves rows out, None leaves out none.
    """
    if allowed is not None:
        share = int(np.count_nonzero(allowed))
        if share < GATHER_SHARE * len(vectors):
            positions = np.flatnonzero(allowed)
            scores, at = scan(queries, vectors[positions], k)
            return scores, renumber(at, positions)
        if share == len(vectors):
            allowed = None
    if not len(vectors):
        return nothing(len(queries), k)
    one_thread()
    scores = np.empty((len(queries), k), np.float32)
    at = np.empty((len(queries), k), np.int64)
    arguments = (
        faiss.swig_ptr(queries),
        faiss.swig_ptr(vectors),
        vectors.shape[1],
        len(queries),
        len(vectors),
        k,
        faiss.swig_ptr(scores),
        faiss.swig_ptr(at),
    )
    if allowed is None:
        faiss.knn_inner_product(*arguments)
    else:
        bits = np.packbits(allowed, bitorder="little")
        selector = faiss.IDSelectorBitmap(len(vectors), faiss.swig_ptr(bits))
        faiss.knn_inner_product(*arguments, selector)
    scores[at < 0] = -np.inf
    return scores, at


def renumber(at: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions turned into `rows[position]`; -1 stays -1."""
    if not len(rows):
        return at
    return np.where(at < 0, np.int64(-1), rows[at])


def merge(found: list[Neighbours], k: int) -> Neighbours:
    """The best `k` of several answers to the same queries, ties by the lower row."""
    scores = np.concatenate([s for s, _ in found], axis=1)
    rows = np.concatenate([r for _, r in found], axis=1)
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    each = np.arange(len(scores))[:, None]
    return scores[each, order], rows[each, order]
