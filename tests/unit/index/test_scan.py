from __future__ import annotations

import numpy as np
import pytest

from likeness.index.scan import merge, nothing, scan
from likeness.index.sixteenbit import Wide


def vectors(count: int, dimension: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


@pytest.mark.parametrize("share", [0.0, 0.002, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("queries", [1, 30])
def test_a_scan_finds_the_best_of_what_is_allowed(share: float, queries: int) -> None:
    stored, asked = vectors(1_000), vectors(queries, seed=1)
    allowed = np.random.default_rng(2).random(1_000) < share
    scores, at = scan(asked, stored, 20, allowed)
    true = np.where(allowed, asked @ stored.T, -np.inf)
    expected = -np.sort(-true, axis=1)[:, :20]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
    hits = at >= 0
    assert hits.tolist() == np.isfinite(expected).tolist()
    np.testing.assert_allclose(
        scores[hits], np.take_along_axis(true, np.maximum(at, 0), 1)[hits], rtol=1e-5, atol=1e-5
    )


def test_a_scan_of_nothing_finds_nothing() -> None:
    scores, at = scan(vectors(2), vectors(0), 3)
    assert np.isneginf(scores).all()
    assert (at == -1).all()


def test_merged_answers_are_ordered_by_score_then_row() -> None:
    one = np.array([[0.9, 0.5, -np.inf]], np.float32), np.array([[7, 3, -1]])
    two = np.array([[0.9, 0.7, 0.1]], np.float32), np.array([[2, 9, 4]])
    scores, rows = merge([nothing(1, 4), one, two], 4)
    assert rows.tolist() == [[2, 7, 9, 3]]
    np.testing.assert_allclose(scores, [[0.9, 0.9, 0.7, 0.5]])


def wide(stored: np.ndarray) -> Wide:
    made = Wide.reserve(len(stored), stored.shape[1], float(np.abs(stored).max(initial=0)))
    made.put(0, stored)
    return made


@pytest.mark.parametrize("size", [1e-6, 0.3, 1.0, 1000.0])
def test_sixteen_bits_are_off_by_half_a_step_at_most(size: float) -> None:
    stored = vectors(100) * np.float32(size)
    made = wide(stored)
    assert made.scale <= 2 * np.abs(stored).max() / 32_767
    assert np.abs(made.take(slice(None)) - stored).max() <= made.scale * 0.501


def test_encoding_what_was_decoded_changes_nothing() -> None:
    made = wide(vectors(100))
    again = wide(made.take(slice(None)))
    assert np.array_equal(made.values, again.values)
    assert made.scale == again.scale


def test_zeros_alone_can_be_encoded() -> None:
    assert not wide(np.zeros((3, 4), np.float32)).take(slice(None)).any()


@pytest.mark.parametrize("allowed_share", [None, 0.0, 0.3, 1.0])
def test_a_search_at_sixteen_bits_reads_every_block(
    allowed_share: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likeness.index.sixteenbit.BLOCK_ROWS", 64)
    stored, asked = vectors(1_000), vectors(3, seed=1)
    allowed = None if allowed_share is None else np.random.default_rng(2).random(1_000) < allowed_share
    scores, at = wide(stored).search(asked, 7, allowed)
    true = asked @ stored.T
    if allowed is not None:
        true = np.where(allowed, true, -np.inf)
    np.testing.assert_allclose(scores, -np.sort(-true, axis=1)[:, :7], atol=0.01)
    assert (at >= 0).tolist() == np.isfinite(scores).tolist()
    hits = np.take_along_axis(true, np.maximum(at, 0), 1)
    np.testing.assert_allclose(scores[at >= 0], hits[at >= 0], atol=0.01)
