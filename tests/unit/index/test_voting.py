"""The voting index against votes that are counted by hand, over every stored detail."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.index.nearest import Agreement
from likeness.index.voting import SLOTS, Asked, VotingIndex
from tests.waiting import PATIENCE

D = 16
WORDS = np.random.default_rng(1).integers(0, 256, (64, D)).astype(np.float32)
NEIGHBOURS, ANGLES, SCALES = 8, 12, 8
NEAR, SLACK = 40.0, 15.0
WIDE_NEAR, WIDE_SLACK, SURE_FROM = 60.0, 30.0, 6
AGREEMENT = Agreement(ANGLES, SCALES, NEAR, SLACK, WIDE_NEAR, WIDE_SLACK, SURE_FROM)


def make(probes: int = 64) -> VotingIndex:
    return VotingIndex(
        WORDS,
        neighbours=NEIGHBOURS,
        probes=probes,
        agreement=AGREEMENT,
    )


def drawn(seed: int, n: int = 40) -> Asked:
    random = np.random.default_rng(seed)
    return Asked(
        random.integers(0, 256, (n, D), dtype=np.uint8),
        random.integers(0, 256, n).astype(np.float32) * np.float32(360 / 256),
        random.integers(0, 96, n).astype(np.float32) / np.float32(16),
    )


def moved(of: Asked, seed: int, turn: float = 0.0, octaves: float = 0.0, noise: int = 3) -> Asked:
    """The same details seen again, turned, larger and a little different."""
    random = np.random.default_rng(seed)
    changed = of.codes.astype(np.int64) + random.integers(-noise, noise + 1, of.codes.shape)
    return Asked(
        np.clip(changed, 0, 255).astype(np.uint8),
        np.mod(of.turn + np.float32(turn), 360).astype(np.float32),
        (of.octave + np.float32(octaves)).astype(np.float32),
    )


def add(index: VotingIndex, row: int, one: Asked) -> None:
    index.add(row, one.codes, index.nearest_words(one.codes), one.turn, one.octave)


def by_hand(stored: dict[int, Asked], asked: Asked, mask: NDArray[np.bool_]) -> dict[int, float]:
    """Votes by row, from the definition: nearest details, worth against the last, fullest pair of bins."""
    details = [(row, n) for row, one in stored.items() if mask[row] for n in range(len(one.codes))]
    bins: dict[int, NDArray[np.float64]] = {}
    for n, code in enumerate(asked.codes.astype(np.float64)):
        far = [float(np.linalg.norm(code - stored[row].codes[m])) for row, m in details]
        order = np.argsort(far, kind="stable")[: NEIGHBOURS + 1]
        last = far[order[-1]] if len(order) == NEIGHBOURS + 1 else 2 * far[order[0]]
        for place in order[:NEIGHBOURS].tolist():
            row, m = details[place]
            worth = max(0.0, 1 - far[place] / max(last, 1e-6))
            angle = int((asked.turn[n] - stored[row].turn[m]) % 360 * ANGLES / 360) % ANGLES
            scale = int(np.clip(asked.octave[n] - stored[row].octave[m] + SCALES / 2, 0, SCALES - 1e-3))
            bins.setdefault(row, np.zeros((ANGLES, SCALES)))[angle, scale] += worth
    votes = {}
    for row, held in bins.items():
        both = held + np.roll(held, -1, axis=0)
        both[:, :-1] += both[:, 1:].copy()
        votes[row] = float(both.max())
    return votes


@pytest.mark.parametrize("masked", [False, True])
def test_votes_are_those_counted_by_hand(masked: bool) -> None:
    stored = {row: drawn(row) for row in range(12)}
    index = make()
    for row, one in stored.items():
        add(index, row, one)
    mask = np.ones(12, np.bool_)
    if masked:
        mask[[0, 3, 7, 8]] = False
    asked = moved(stored[5], 99, turn=40.0, octaves=1.0, noise=20)
    found = index.search(asked, 12, mask)
    wanted = by_hand(stored, asked, mask)
    assert found.rows[0] == 5
    assert dict(zip(found.rows.tolist(), found.votes.tolist(), strict=True)) == pytest.approx(
        wanted, rel=1e-3, abs=1e-3
    )


def test_best_come_first_and_no_more_than_asked_for() -> None:
    index = make()
    for row in range(20):
        add(index, row, drawn(row))
    found = index.search(moved(drawn(4), 0), 3, np.ones(20, np.bool_))
    assert len(found.rows) == 3
    assert (np.diff(found.votes) <= 0).all()


def test_votes_that_disagree_on_turn_do_not_add_up() -> None:
    index = make()
    one = drawn(0)
    add(index, 0, one)
    for row in range(1, 6):
        add(index, row, drawn(row))
    mask = np.ones(6, np.bool_)
    agreeing = index.search(moved(one, 7, turn=90.0), 6, mask)
    random = np.random.default_rng(3)
    scattered = moved(one, 7)
    scattered = Asked(scattered.codes, random.uniform(0, 360, 40).astype(np.float32), scattered.octave)
    other = index.search(scattered, 6, mask)
    votes = dict(zip(other.rows.tolist(), other.votes.tolist(), strict=True))
    assert votes[0] < 0.6 * agreeing.votes[0]


def test_what_a_mask_hides_leaves_no_trace() -> None:
    """The answer is that of an index which never held the hidden rows."""
    whole, part = make(), make()
    mask = np.ones(15, np.bool_)
    mask[::2] = False
    for row in range(15):
        add(whole, row, drawn(row))
        if mask[row]:
            add(part, row, drawn(row))
    asked = moved(drawn(4), 1)
    one, other = whole.search(asked, 15, mask), part.search(asked, 15, mask)
    assert one.rows.tolist() == other.rows.tolist()
    assert one.votes.tolist() == pytest.approx(other.votes.tolist())
    assert one.common.tolist() == other.common.tolist()


def test_a_removed_row_is_gone_and_its_number_can_be_used_again() -> None:
    index = make()
    for row in range(5):
        add(index, row, drawn(row))
    before = index.details
    index.remove(2)
    index.remove(2)
    index.remove(77)
    assert (len(index), index.details) == (4, before - 40)
    found = index.search(moved(drawn(2), 0), 5, np.ones(5, np.bool_))
    assert 2 not in found.rows
    add(index, 2, drawn(50))
    assert index.search(moved(drawn(50), 0), 1, np.ones(5, np.bool_)).rows.tolist() == [2]


def test_rows_added_after_the_mask_was_taken_do_not_take_part() -> None:
    index = make()
    for row in range(3):
        add(index, row, drawn(row))
    mask = np.ones(2, np.bool_)
    assert 2 not in index.search(moved(drawn(2), 0), 5, mask).rows


def test_details_that_many_rows_hold_are_common_and_worth_little() -> None:
    index = make()
    shared, own = drawn(1000, 20), [drawn(2000 + row, 20) for row in range(30)]
    for row, one in enumerate(own):
        again = moved(shared, row, noise=3)
        both = (
            np.concatenate([getattr(again, name), getattr(one, name)]) for name in ("codes", "turn", "octave")
        )
        add(index, row, Asked(*both))
    asked = Asked(
        *(np.concatenate([getattr(shared, n), getattr(own[9], n)]) for n in ("codes", "turn", "octave"))
    )
    found = index.search(asked, 30, np.ones(30, np.bool_))
    assert found.rows[0] == 9
    assert found.votes[0] > 3 * found.votes[1]
    assert (found.common[:20] >= NEIGHBOURS - 2).all()
    assert (found.common[20:] == 1).all()


def test_nothing_stored_nothing_asked_or_nothing_allowed_finds_nothing() -> None:
    index = make()
    assert len(index.search(drawn(0), 5, np.ones(1, np.bool_)).rows) == 0
    add(index, 0, drawn(0))
    assert len(index.search(drawn(0, 0), 5, np.ones(1, np.bool_)).rows) == 0
    found = index.search(drawn(0), 5, np.zeros(1, np.bool_))
    assert len(found.rows) == 0
    assert len(found.common) == 40


def test_details_without_any_neighbour_vote_for_nothing() -> None:
    """With few lists visited, some details find nothing at all; the others find their row."""
    index = make(probes=1)
    add(index, 0, drawn(0))
    for row in range(1, 30):
        add(index, row, drawn(row, 1))
    index._probes = 1
    found = index.search(drawn(0), 1, np.arange(30) == 0)
    assert found.rows.tolist() == [0]
    assert np.isfinite(found.votes).all()


def test_a_row_holds_at_most_its_slots_and_may_be_empty() -> None:
    index = make()
    add(index, 0, drawn(0, SLOTS + 30))
    add(index, 1, drawn(1, 0))
    assert index.details == SLOTS
    assert len(index) == 2
    index.remove(1)
    assert len(index) == 1


def test_memory_is_some_bytes_for_each_detail() -> None:
    index = make()
    for row in range(200):
        add(index, row, drawn(row, 200))
    assert index.nbytes <= 200 * 200 * (D + 8 + 4) + 4096


def test_readers_run_while_rows_come_and_go() -> None:
    """Searches from several threads while rows come and go: every one finds the row that stays."""
    index = make()
    add(index, 0, drawn(0))
    stop, wrong = threading.Event(), []

    def read() -> None:
        asked = moved(drawn(0), 1)
        while not stop.is_set():
            found = index.search(asked, 1, np.ones(500, np.bool_))
            if found.rows.tolist() != [0]:
                wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for row in range(1, 300):
        add(index, row, drawn(row))
        if row % 3 == 0:
            index.remove(row - 1)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert len(index) == 300 - 99


def test_two_readers_are_inside_at_once() -> None:
    index = make()
    add(index, 0, drawn(0))
    with index._lock.shared():
        done = threading.Event()

        def read() -> None:
            index.search(drawn(0), 1, np.ones(1, np.bool_))
            done.set()

        other = threading.Thread(target=read)
        other.start()
        assert done.wait(PATIENCE)
        other.join()


def test_the_codes_of_a_removed_row_do_not_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    index, gone, added = make(), drawn(1), drawn(2)
    add(index, 0, gone)
    add(index, 1, added)

    def stored() -> set[bytes]:
        lists: Any = index._index.invlists
        codes = [
            faiss.rev_swig_ptr(lists.get_codes(n), lists.list_size(n) * D).reshape(-1, D).copy()
            for n in range(len(WORDS))
            if lists.list_size(n)
        ]
        return {code.tobytes() for code in np.concatenate(codes)}

    assert {code.tobytes() for code in gone.codes} <= stored()
    monkeypatch.setattr(index._index, "remove_ids", lambda _: None)
    index.remove(0)
    assert not {code.tobytes() for code in gone.codes} & stored()
    assert {code.tobytes() for code in added.codes} <= stored()


def test_rows_of_a_mask_are_counted_while_they_are_held() -> None:
    index = make()
    for row in (0, 2, 5):
        add(index, row, drawn(row))
    assert index.held(np.ones(40, np.bool_)) == 3
    assert index.held(np.array([True, True, False, True, True, True])) == 2
    assert index.held(np.array([True])) == 1
    index.remove(5)
    assert index.held(np.ones(6, np.bool_)) == 2


def test_farther_details_are_common_where_nearer_ones_of_their_row_agree() -> None:
    """Half of a row's details are seen again closely, half roughly; rough ones alone are not enough."""
    probe = drawn(1)
    near = moved(probe, 2, turn=30, noise=3)
    rough = Asked(np.where(probe.codes < 128, probe.codes + 12, probe.codes - 12), near.turn, near.octave)
    assert NEAR < 12 * np.sqrt(D) < WIDE_NEAR
    half = np.arange(len(probe.codes)) < 20
    codes = np.where(half[:, None], near.codes, rough.codes)
    both, alone = make(), make()
    add(both, 0, Asked(codes, near.turn, near.octave))
    add(alone, 0, rough)
    mask = np.ones(1, np.bool_)
    assert alone.search(probe, 1, mask).common.sum() == 0
    found = both.search(probe, 1, mask).common
    assert found[half].tolist() == [1] * 20
    assert found[~half].tolist() == [1] * 20
    turned = Asked(codes, np.where(half, near.turn, (near.turn + 180) % 360), near.octave)
    other = make()
    add(other, 0, turned)
    assert other.search(probe, 1, mask).common[~half].sum() == 0


@pytest.mark.parametrize("rows", [20, 40, 100])
@pytest.mark.parametrize("parts", [2, 4])
def test_the_nearest_of_parts_are_those_of_the_whole(rows: int, parts: int) -> None:
    """Also where each part has few rows and the whole has not, so that a part visits more lists than the whole."""
    whole, split = make(probes=2), [make(probes=2) for _ in range(parts)]
    seen = drawn(7)
    for row in range(rows):
        one = moved(seen, 50 + row, noise=20) if row % 3 else drawn(row)
        add(whole, row, one)
        add(split[row % parts], row // parts, one)
    found = whole.search(seen, 5, np.ones(rows, np.bool_))
    each = [part.nearest(seen, np.ones(len(range(n, rows, parts)), np.bool_)) for n, part in enumerate(split)]
    together = pickle.loads(pickle.dumps(sum(each[1:], each[0])))  # noqa: S301
    again = together.counting.found(AGREEMENT, 5)
    assert found.common.any()
    assert again.common.tolist() == found.common.tolist()
    assert again.votes.tolist() == found.votes.tolist()
    alone = [part.counting.found(AGREEMENT, 5).common for part in each]
    assert np.sum(alone, axis=0).tolist() != found.common.tolist()  # adding up counts would not do
