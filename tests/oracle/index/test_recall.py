"""The kind for large galleries finds what the naive index finds, whatever a filter leaves."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.index import VectorIndex
from tests.oracle.index.naive import Vectors, clustered

ROWS, DIMENSION, PROBES, K = 40_000, 64, 60, 10


def built(vectors: Vectors) -> VectorIndex:
    index = VectorIndex(vectors.shape[1], space="test/1", flat_components=1)
    index.add(vectors)
    assert index.build(1).kind == "fourbit"
    return index


def recall(index: VectorIndex, vectors: Vectors, probes: Vectors, allowed: np.ndarray | None) -> float:
    rows = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    scores = probes.astype(np.float64) @ vectors[rows].T.astype(np.float64)
    best = rows[np.argsort(-scores, axis=1)[:, :K]]
    found, at = index.search(probes, K, allowed)
    assert (at >= 0).all()
    if allowed is not None:
        assert allowed[at].all()
    np.testing.assert_allclose(
        found, np.einsum("qd,qkd->qk", probes, vectors[at]), atol=1e-4 * np.abs(vectors).sum(axis=1).max()
    )
    assert (np.diff(found, axis=1) <= 0).all()
    return float(np.mean([np.isin(b, a).mean() for b, a in zip(best, at, strict=True)]))


@pytest.fixture(scope="module")
def embeddings() -> tuple[Vectors, Vectors, VectorIndex]:
    both = clustered(ROWS + PROBES, DIMENSION, seed=1)
    return both[PROBES:], both[:PROBES], built(both[PROBES:])


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.03, 0.01, 0.001])
def test_a_filter_of_any_share_keeps_the_recall(
    embeddings: tuple[Vectors, Vectors, VectorIndex], share: float
) -> None:
    vectors, probes, index = embeddings
    allowed = None if share == 1 else np.random.default_rng(2).random(ROWS) < share
    assert recall(index, vectors, probes, allowed) >= 0.99


def test_a_filter_that_leaves_only_what_is_unlike_the_probe_keeps_the_recall(
    embeddings: tuple[Vectors, Vectors, VectorIndex],
) -> None:
    vectors, probes, index = embeddings
    unlike = (vectors @ probes[0]) < 0
    assert recall(index, vectors, probes[:1], unlike) >= 0.9


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: clustered(ROWS + PROBES, DIMENSION, seed=3, offset=3.0), id="common offset"),
        pytest.param(lambda: clustered(ROWS + PROBES, 63, seed=4), id="odd dimension"),
        pytest.param(
            lambda: (
                clustered(ROWS + PROBES, DIMENSION, seed=5)
                * np.random.default_rng(5).uniform(0.5, 2, (ROWS + PROBES, 1)).astype(np.float32)
            ),
            id="norms that differ",
        ),
        pytest.param(
            lambda: (
                np.random.default_rng(6).normal(size=(ROWS + PROBES, DIMENSION)) * np.arange(1, 65) ** -0.5
            ).astype(np.float32),
            id="few strong dimensions, not normalised",
        ),
    ],
)
def test_the_shape_of_the_space_does_not_cost_recall(made: object) -> None:
    assert callable(made)
    both = made()
    assert recall(built(both[PROBES:]), both[PROBES:], both[:PROBES], None) >= 0.99
