from pathlib import Path

import numpy as np

from likeness.cli.demo.fingerprints import FINGERS, STRANGERS, FingerprintSection
from likeness.fingerprint.formats import Standard, read, write
from likeness.fingerprint.minutiae import MinutiaKind
from likeness.fingerprint.synthesis import FLIPPED, draw, impressions, record_of, thinned


def test_a_seed_draws_the_same_fingers_again_and_another_seed_others() -> None:
    one, again, other = (draw(3, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.xy, b.xy) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0].xy[:5], other[0].xy[:5])


def test_counts_are_like_those_of_real_templates() -> None:
    counts = np.array([len(one) for one in draw(300, 3)])
    assert 30 < counts.mean() < 70
    assert counts.std() > 8


def test_kinds_are_drawn_and_shown_wrongly_now_and_then() -> None:
    kinds = np.concatenate([one.kind for one in draw(100, 4)])
    assert set(kinds.tolist()) == {MinutiaKind.ENDING, MinutiaKind.BIFURCATION}
    expected = 0.6 * (1 - FLIPPED) + 0.4 * FLIPPED
    assert abs((kinds == MinutiaKind.ENDING).mean() - expected) < 0.03


def test_a_record_is_read_as_it_was_drawn() -> None:
    drawn = draw(1, 5)[0]
    view = read(write(record_of(drawn, 7), Standard.ISO_2005), "x").views[0]
    assert view.position == 7
    shift = view.minutiae.xy - drawn.xy
    assert np.abs(shift - shift.mean(axis=0)).max() <= 1
    assert (view.minutiae.kind == drawn.kind).all()


def test_thinned_impressions_keep_the_minutiae_of_the_middle() -> None:
    chosen = thinned(draw(20, 6), 30)
    assert chosen
    assert {len(one) for one in chosen} == {30}


def test_impressions_come_finger_by_finger_in_any_number() -> None:
    assert sum(1 for _ in impressions(253, 2, 7)) == 253


def test_the_demonstration_writes_records_that_can_be_read(tmp_path: Path) -> None:
    FingerprintSection(tmp_path).prepare()
    paths = sorted(tmp_path.rglob("*.fmr"))
    enrolled = [path for path in paths if "enrol" in path.parts]
    assert len(enrolled) == FINGERS - STRANGERS
    assert len(paths) - len(enrolled) > STRANGERS
    for path in paths:
        assert read(path.read_bytes(), path.name).standard == Standard.ISO_2005
