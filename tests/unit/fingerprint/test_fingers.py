import pytest

from likeness.domain.errors import Corrupt
from likeness.fingerprint.fingers import (
    NOTHING_IN_COMMON,
    Finger,
    best_pair,
    compare,
    may_be_same,
    pack,
    unpack,
)
from likeness.fingerprint.matcher import Matcher
from likeness.fingerprint.minutiae import UNKNOWN, position_of
from likeness.fingerprint.parameters import CASCADE_LIST
from likeness.fingerprint.prepared import prepare
from tests.unit.fingerprint.drawn import fingers


def finger(number: int, position: int = UNKNOWN, impression: int = 0) -> Finger:
    return Finger(position, prepare(fingers()[number][impression]))


def test_what_is_packed_is_unpacked() -> None:
    held = unpack(pack([finger(0, 3), finger(1, 7)]))
    assert [one.position for one in held] == [3, 7]
    assert held[1].prepared.to_bytes() == finger(1).prepared.to_bytes()
    assert (held[0].prepared.arrays.hull == finger(0).prepared.arrays.hull).all()


@pytest.mark.parametrize("cut", [0, 3, 6, 100, -1])
def test_a_truncated_detail_is_corrupt(cut: int) -> None:
    with pytest.raises(Corrupt):
        unpack(pack([finger(0)])[:cut])


def test_trailing_bytes_are_corrupt() -> None:
    with pytest.raises(Corrupt):
        unpack(pack([finger(0)]) + b"more than nothing")


@pytest.mark.parametrize(
    ("code", "position"), [(0, 0), (1, 1), (10, 10), (11, 1), (12, 6), (13, 0), (16, 0), (99, 0), (255, 0)]
)
def test_codes_name_fingers(code: int, position: int) -> None:
    assert position_of(code) == position


def test_only_unknown_fingers_may_be_any() -> None:
    assert may_be_same(finger(0, 2), finger(1, 2))
    assert may_be_same(finger(0), finger(1, 2))
    assert not may_be_same(finger(0, 3), finger(1, 2))


def test_no_candidates_are_no_scores() -> None:
    assert compare(Matcher(), (finger(0),), []) == []


def test_nothing_in_common_scores_below_everything() -> None:
    found = compare(Matcher(), (finger(0, 1),), [(finger(0, 2),), (finger(5, 1),)])
    assert found[0].value == NOTHING_IN_COMMON < found[1].value
    assert found[0].parts["fingers"] == 0


def test_of_several_views_the_best_counts_less_what_choosing_costs() -> None:
    matcher, probe = Matcher(), (finger(0, 1, 1),)
    alone = compare(matcher, probe, [(finger(0, 1),)])[0].value
    among = compare(matcher, probe, [(finger(0, 1), finger(1, 1), finger(2, 1))])[0].value
    assert among == pytest.approx(alone - 1.0986, abs=1e-3)


def test_the_best_pair_is_the_mates() -> None:
    probe, candidate = (finger(4, 1, 1), finger(0, 0, 1)), (finger(3), finger(0))
    pair = best_pair(Matcher(), probe, candidate)
    assert pair is not None
    assert pair == (probe[1], candidate[1])


def test_a_mark_against_ten_prints_scores_as_ten_prints_against_the_mark() -> None:
    ten = tuple(finger(number, position=number + 1) for number in range(10))
    mark = (finger(3, impression=1),)
    one_way = compare(Matcher(), mark, [ten])[0]
    other_way = compare(Matcher(), ten, [mark])[0]
    assert one_way.value == pytest.approx(other_way.value, abs=0.5)
    assert (one_way.parts["fingers"], other_way.parts["fingers"]) == (1.0, 1.0)
    assert min(one_way.value, other_way.value) > 3.0


def test_a_long_list_of_records_is_compared_finger_by_finger_through_the_cascade() -> None:
    probe = (finger(0, 1, 1), finger(1, 2, 1))
    strangers = [(finger(n, 1), finger(n + 1, 2)) for n in range(2, 6)]
    mate = (finger(0, 1), finger(1, 2))
    listed = [*(strangers * CASCADE_LIST)[: CASCADE_LIST - 1], mate]
    found, exact = (compare(Matcher(), probe, listed, exact=exact) for exact in (False, True))
    assert max(range(len(found)), key=lambda n: found[n].value) == len(listed) - 1
    assert found[-1].value == pytest.approx(exact[-1].value, abs=1e-9)
    assert any(few.value < full.value for few, full in zip(found, exact, strict=True))
    assert max(one.value for one in found[:-1]) < exact[-1].value
