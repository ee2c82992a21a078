from __future__ import annotations

import numpy as np
import pytest

from likeness.index import VectorIndex, measure_recall
from likeness.index.fourbit import FourBit
from likeness.index.recall import near_probes
from tests.oracle.index.naive import clustered

VECTORS = clustered(6_000, 32, seed=1)


def index(flat_components: int) -> VectorIndex:
    made = VectorIndex(32, space="test/1", flat_components=flat_components)
    made.add(VECTORS)
    made.build(3)
    return made


def test_an_exact_index_recalls_everything() -> None:
    measured = measure_recall(index(10**9), sample=50)
    assert (measured.recall, measured.k, measured.sample) == (1.0, 10, 50)


def test_a_shortlist_that_is_good_recalls_nearly_everything() -> None:
    made = index(1)
    measured = measure_recall(made, sample=100)
    assert measured.recall >= 0.99
    assert measured.generation == made.generation.name


def test_an_index_that_went_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes that shortlist the same rows whatever the probe."""

    def stuck(_: FourBit, queries: np.ndarray, depth: int, __: object) -> np.ndarray:
        return np.tile(np.arange(depth), (len(queries), 1))

    made = index(1)
    monkeypatch.setattr("likeness.index.shortlisted.SAFE_PART", 1.0)
    monkeypatch.setattr("likeness.index.shortlisted.DEPTH", 700)
    monkeypatch.setattr(FourBit, "nearest", stuck)
    assert 0.05 < measure_recall(made, sample=50).recall < 0.4


def test_probes_are_as_far_from_their_origin_as_another_sample_would_be() -> None:
    unrelated = clustered(6_000, 128, seed=2)[::8]
    probes = near_probes(unrelated)
    cosines = np.einsum("nd,nd->n", unrelated, probes) / np.linalg.norm(probes, axis=1)
    assert 0.6 < cosines.mean() < 0.8


def test_copies_of_one_vector_are_no_loss() -> None:
    made = VectorIndex(32, space="test/1", flat_components=1)
    made.add(np.repeat(VECTORS[:300], 20, axis=0))
    made.build(1)
    assert measure_recall(made, sample=30).recall == 1.0


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_few_vectors_or_none_are_no_error(rows: int) -> None:
    made = VectorIndex(32, space="test/1")
    made.add(VECTORS[:rows])
    measured = measure_recall(made, sample=50)
    assert (measured.recall, measured.sample) == (1.0, rows)
