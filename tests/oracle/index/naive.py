"""The index and its columns in the plainest numpy: the oracle that the real ones must agree with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from likeness.domain.references import Facets

Vectors = NDArray[np.float32]


class Naive:
    """Every row in a list; every search over all of them, in float64."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self.vectors: list[NDArray[np.float64]] = []
        self.facets: list[Facets | None] = []

    def add(self, vectors: Vectors, facets: Facets) -> None:
        self.vectors += [vector.astype(np.float64) for vector in vectors]
        self.facets += [facets] * len(vectors)

    def set(self, row: int, facets: Facets) -> None:
        self.facets[row] = facets

    def remove(self, rows: Iterable[int]) -> None:
        for row in rows:
            self.facets[row] = None

    @property
    def live(self) -> list[int]:
        return [row for row, facets in enumerate(self.facets) if facets is not None]

    def allowed(self, allows: Callable[[Facets], bool], now: int) -> NDArray[np.bool_]:
        return np.array(
            [
                f is not None and (f.expires_at is None or f.expires_at > now) and allows(f)
                for f in self.facets
            ],
            np.bool_,
        )

    def scores(self, query: Vectors) -> NDArray[np.float64]:
        """The inner product of one query [d] with every row."""
        stored = np.array(self.vectors).reshape(len(self.vectors), self._dimension)
        result: NDArray[np.float64] = stored @ query.astype(np.float64)
        return result

    def best(self, query: Vectors, k: int, allowed: NDArray[np.bool_]) -> list[int]:
        scores = self.scores(query)
        rows = np.flatnonzero(allowed)
        return [int(row) for row in rows[np.argsort(-scores[rows], kind="stable")][:k]]


def agrees(
    naive: Naive,
    query: Vectors,
    k: int,
    allowed: NDArray[np.bool_],
    found: tuple[NDArray[np.float32], NDArray[np.int64]],
    tolerance: float = 2e-4,
) -> None:
    """Assert that one query's answer [k] is the naive one, where rows with equal scores may change places."""
    scores, rows = found
    best = naive.best(query, k, allowed)
    true = naive.scores(query) if naive.vectors else np.zeros(0)
    assert (rows >= 0).sum() == len(best)
    assert (rows[len(best) :] == -1).all()
    assert np.isneginf(scores[len(best) :]).all()
    hits = rows[: len(best)]
    assert allowed[hits].all()
    assert len(set(hits.tolist())) == len(hits)
    np.testing.assert_allclose(scores[: len(best)], true[hits], atol=tolerance)
    np.testing.assert_allclose(true[hits], true[best], atol=2 * tolerance)


def clustered(count: int, dimension: int, *, seed: int, offset: float = 0.0) -> Vectors:
    """Unit vectors in the manner of embeddings: subjects of about four samples, fewer true dimensions than given.

    `offset` moves all of them the same way before they are normalised.
    """
    random = np.random.default_rng(seed)
    spread = np.arange(1, dimension + 1) ** -0.3
    turn = np.linalg.qr(random.normal(size=(dimension, dimension)))[0] * spread[:, None]
    centres = random.normal(size=(max(1, count // 4), dimension)) @ turn
    own = 0.6 * random.normal(size=(count, dimension)) @ turn
    vectors = centres[random.integers(0, len(centres), count)] + own
    vectors += offset * np.sqrt((spread**2).sum() / dimension)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    single: Vectors = vectors.astype(np.float32)
    return single
