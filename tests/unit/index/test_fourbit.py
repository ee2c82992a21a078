from __future__ import annotations

import numpy as np
import pytest

from likeness.index.fourbit import FourBit
from likeness.index.rows import RowMap
from likeness.index.shortlisted import Shortlisted
from likeness.index.sixteenbit import Wide
from tests.oracle.index.naive import clustered

ROWS, DIMENSION = 5_000, 32


@pytest.fixture(scope="module")
def stored() -> np.ndarray:
    return clustered(ROWS, DIMENSION, seed=1)


def coded(stored: np.ndarray) -> FourBit:
    codes = FourBit.train(stored, 1.0)
    codes.add(stored[:3_000])
    codes.add(stored[3_000:])
    return codes


def sealed(stored: np.ndarray) -> Shortlisted:
    wide = Wide.reserve(len(stored), stored.shape[1], float(np.abs(stored).max()))
    wide.put(0, stored)
    return Shortlisted.build(RowMap(np.arange(len(stored)) * 2), wide)


def test_a_stored_vector_is_high_in_its_own_shortlist(stored: np.ndarray) -> None:
    shortlists = coded(stored).nearest(stored[:100], 20, None)
    assert shortlists.shape == (100, 20)
    assert np.mean([n in short for n, short in enumerate(shortlists)]) == 1


def test_only_allowed_positions_are_shortlisted(stored: np.ndarray) -> None:
    allowed = np.random.default_rng(0).random(ROWS) < 0.1
    shortlists = coded(stored).nearest(stored[:10], 200, allowed)
    assert allowed[shortlists].all()
    few = np.zeros(ROWS, np.bool_)
    few[[3, 4_999]] = True
    assert sorted(coded(stored).nearest(stored[:1], 5, few)[0].tolist()) == [-1, -1, -1, 3, 4_999]


def test_an_erased_code_is_zeros_and_no_other_changes(stored: np.ndarray) -> None:
    codes = coded(stored)
    before = codes.state()["codes"]
    codes.erase(4_321)
    changed = np.flatnonzero((codes.state()["codes"] != before).any(axis=1))
    assert changed.tolist() == [4_321 // 32]
    assert 4_321 not in codes.nearest(stored[4_321:4_322], 20, None)
    assert 4_320 in codes.nearest(stored[4_320:4_321], 20, None)
    assert not codes._packer.unpack_1(codes._blocks()[4_321 // 32][None], 4_321 % 32).any()


def test_restored_codes_answer_as_before(stored: np.ndarray) -> None:
    codes = coded(stored)
    again = FourBit.restored(codes.state(), ROWS, 1.0)
    assert len(again) == ROWS
    assert np.array_equal(again.nearest(stored[:20], 50, None), codes.nearest(stored[:20], 50, None))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("rotation", np.zeros((33, 33), np.float32)),
        ("rotation", np.zeros((34, 33), np.float64)),
        ("centroids", np.zeros(10, np.float32)),
        ("codes", np.zeros((1, 1), np.uint8)),
        ("codes", np.zeros((157, 544), np.int8)),
    ],
)
def test_arrays_that_do_not_fit_are_refused_before_faiss_sees_them(
    stored: np.ndarray, name: str, array: np.ndarray
) -> None:
    state = coded(stored).state()
    with pytest.raises(ValueError, match="wrong shape or type"):
        FourBit.restored(state | {name: array}, ROWS, 1.0)


def test_an_erased_row_is_in_neither_its_code_nor_its_vector(stored: np.ndarray) -> None:
    segment = sealed(stored)
    for row, position in ((8, 4), (9_998, 4_999)):
        segment.erase(row)
        assert not segment.take(np.array([position])).any()
        blocks = segment._codes._blocks()
        assert not segment._codes._packer.unpack_1(blocks[position // 32][None], position % 32).any()
    before = segment.state()[1]
    for absent in (9, 10_000, -2):
        segment.erase(absent)
    after = segment.state()[1]
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_codes_of_another_faiss_version_are_made_again(
    stored: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likeness.index.shortlisted.DEPTH", 100)
    segment = sealed(stored)
    about, arrays = segment.state()
    assert about["faiss"]
    arrays["codes"] = np.zeros_like(arrays["codes"])
    again = Shortlisted.restored(about | {"faiss": "another"}, arrays, DIMENSION)
    assert np.array_equal(again.state()[1]["codes"], segment.state()[1]["codes"])
    for exact in (False, True):
        ours, theirs = (s.search(stored[:5], 3, None, exact=exact) for s in (segment, again))
        assert np.array_equal(ours[1], theirs[1])
        assert ours[1][:, 0].tolist() == [0, 2, 4, 6, 8]


def test_a_doubtful_shortlist_is_made_deeper(stored: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shortlist of twelve cannot be trusted for the best ten; what comes back is right all the same."""
    segment = sealed(stored)
    monkeypatch.setattr("likeness.index.shortlisted.DEPTH", 12)
    asked: list[int] = []
    nearest = segment._codes.nearest

    def counted(queries: np.ndarray, depth: int, allowed: np.ndarray | None) -> np.ndarray:
        asked.append(depth)
        return nearest(queries, depth, allowed)

    monkeypatch.setattr(segment._codes, "nearest", counted)
    _, rows = segment.search(stored[:20], 10, None, exact=False)
    _, true = segment.search(stored[:20], 10, None, exact=True)
    assert np.mean([np.isin(t, r).mean() for t, r in zip(true, rows, strict=True)]) >= 0.97
    assert asked[:2] == [12, 48]


def test_a_segment_that_does_not_fit_its_dimension_is_refused(stored: np.ndarray) -> None:
    about, arrays = sealed(stored).state()
    with pytest.raises(ValueError, match="16-bit"):
        Shortlisted.restored(about, arrays, DIMENSION + 1)
