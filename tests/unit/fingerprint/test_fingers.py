import math
from collections.abc import Iterable

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
from likeness.fingerprint.minutiae import UNKNOWN, fingers_of, position_of
from likeness.fingerprint.parameters import CASCADE_LIST
from likeness.fingerprint.prepared import prepare
from tests.unit.fingerprint.drawn_fingers import fingers


def finger(number: int, position: int = UNKNOWN, impression: int = 0, possible: Iterable[int] = ()) -> Finger:
    return Finger(position, prepare(fingers()[number][impression]), frozenset(possible))


def test_what_is_packed_is_unpacked() -> None:
    held = unpack(pack([finger(0, 3), finger(1, 7)]))
    assert [one.position for one in held] == [3, 7]
    assert held[1].prepared.to_bytes() == finger(1).prepared.to_bytes()
    assert (held[0].prepared.arrays.hull == finger(0).prepared.arrays.hull).all()


def test_fingers_that_may_be_several_are_packed_with_all() -> None:
    listed = [finger(0, possible=(2, 10)), finger(1, 7), finger(2), finger(3, possible=range(1, 10))]
    held = unpack(pack(listed))
    assert [(one.position, one.possible, one.may_be) for one in held] == [
        (0, frozenset({2, 10}), 0b10_0000_0010),
        (7, frozenset(), 0b100_0000),
        (0, frozenset(), 0),
        (0, frozenset(range(1, 10)), 0b1_1111_1111),
    ]
    assert [one.prepared.to_bytes() for one in held] == [one.prepared.to_bytes() for one in listed]


def test_others_are_packed_as_ever() -> None:
    detail = pack([finger(0, 3), finger(1)])
    assert detail[:5] == b"LKF1\x03"
    assert pack([finger(0, possible=(2, 3))])[:6] == b"LKF2\x06\x00"


def test_a_finger_that_nobody_has_is_corrupt() -> None:
    detail = bytearray(pack([finger(0, possible=(2, 3))]))
    detail[5] = 0b100
    with pytest.raises(Corrupt, match="nobody has"):
        unpack(bytes(detail))


@pytest.mark.parametrize("possible", [(), (2, 3)])
@pytest.mark.parametrize("cut", [0, 3, 6, 100, -1])
def test_a_truncated_detail_is_corrupt(cut: int, possible: tuple[int, ...]) -> None:
    with pytest.raises(Corrupt):
        unpack(pack([finger(0, possible=possible)])[:cut])


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


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        ((), set()),
        ((2,), {2}),
        ((2, 3, 3), {2, 3}),
        ((11, 12), {1, 6}),
        ((0, 2), set()),
        ((2, 13), set()),
        (range(1, 11), set()),
        (range(1, 10), set(range(1, 10))),
    ],
)
def test_codes_name_sets_of_fingers(codes: Iterable[int], wanted: set[int]) -> None:
    assert fingers_of(codes) == wanted


def test_fingers_may_be_the_same_where_their_sets_have_one_in_common() -> None:
    mark = finger(0, possible=(2, 3))
    assert [may_be_same(mark, finger(1, position)) for position in (0, 1, 2, 3, 7)] == [1, 0, 1, 1, 0]
    assert may_be_same(mark, finger(1, possible=(3, 4)))
    assert not may_be_same(mark, finger(1, possible=(4, 5)))


def test_a_mark_is_compared_with_the_fingers_that_it_may_be_and_is_one_of_them() -> None:
    ten = tuple(finger(number, position=number + 1) for number in range(10))
    mark = finger(3, impression=1)
    listed = finger(3, impression=1, possible=(3, 4, 9))
    elsewhere = finger(3, impression=1, possible=(1, 9))
    any_of_ten, among_three, not_there = (
        compare(Matcher(), (one,), [ten])[0] for one in (mark, listed, elsewhere)
    )
    # Having chosen the best of three costs less than of ten.
    assert among_three.value == pytest.approx(any_of_ten.value + math.log(10 / 3), abs=1e-6)
    assert not_there.value < 0 < among_three.value
    assert among_three.parts["fingers"] == not_there.parts["fingers"] == 1.0
    back = compare(Matcher(), ten, [(listed,)])[0]
    assert back.value == pytest.approx(among_three.value, abs=0.5)
    pair = best_pair(Matcher(), (listed,), ten)
    assert pair is not None
    assert pair[1] is ten[3]


def test_a_named_finger_is_taken_before_one_that_may_be_several() -> None:
    two = (finger(0, 2), finger(1, 3))
    probe = (finger(0, 2, 1), finger(1, 0, 1, possible=(2, 3)))
    found = compare(Matcher(), probe, [two])[0]
    assert found.parts["fingers"] == 2.0
    assert found.value > compare(Matcher(), probe[:1], [two])[0].value


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
