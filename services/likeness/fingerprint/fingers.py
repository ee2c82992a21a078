"""The fingers of one record: how they are stored in a template, and how two records are compared finger by
finger."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from likeness.domain.answers import Score
from likeness.domain.errors import Corrupt
from likeness.fingerprint.matcher import FingerComparison, Matcher
from likeness.fingerprint.minutiae import UNKNOWN
from likeness.fingerprint.prepared import PreparedFinger

MAX_FINGERS = 64
"""Views in one template: ten fingers, several impressions of each."""

WORST_FINGER = -3.0
"""The least log-odds that one finger adds: a finger that was swapped or is scarred must not undo nine others."""

NOTHING_IN_COMMON = -100.0
"""The score of two records that hold no finger in common."""

_FINGERS = 10
_MAGIC = b"LKF1"
_VIEW = struct.Struct("<BI")
"""Position and length of one finger."""
_MAGIC_LISTED = b"LKF2"
_VIEW_LISTED = struct.Struct("<HI")
"""Where a finger of the template may be one of several: `Finger.may_be` and length of one finger."""


@dataclass(frozen=True, eq=False, slots=True)
class Finger:
    """One view of one finger, ready to be compared.

    `position`: as in ISO/IEC 19794-2, 7.4.3 (0 unknown). `possible`: see `FingerView`. `may_be`: a bit for each
    finger that it may be, from the lowest for the right thumb; none where it may be any.
    """

    position: int
    prepared: PreparedFinger
    possible: frozenset[int] = frozenset()
    may_be: int = field(init=False)

    def __post_init__(self) -> None:
        numbers = self.possible or {self.position} - {UNKNOWN}
        object.__setattr__(self, "may_be", sum(1 << number - 1 for number in numbers))


Fingers = tuple[Finger, ...]


def pack(fingers: Sequence[Finger]) -> bytes:
    """The detail of a template: magic, then position, length and bytes of each finger."""
    listed = any(finger.possible for finger in fingers)
    parts = [_MAGIC_LISTED if listed else _MAGIC]
    for finger in fingers:
        data = finger.prepared.to_bytes()
        named = finger.may_be if listed else finger.position
        parts += ((_VIEW_LISTED if listed else _VIEW).pack(named, len(data)), data)
    return b"".join(parts)


def unpack(detail: bytes) -> Fingers:
    """Read what `pack` wrote.

    Raises:
        Corrupt: the lengths do not add up, or a finger cannot be read.
    """
    magic = detail[: len(_MAGIC)]
    if magic not in (_MAGIC, _MAGIC_LISTED):
        raise Corrupt("A stored fingerprint template does not begin with its magic number.")
    head = _VIEW if magic == _MAGIC else _VIEW_LISTED
    at = len(_MAGIC)
    fingers: list[Finger] = []
    while at < len(detail):
        if at + head.size > len(detail) or len(fingers) == MAX_FINGERS:
            raise Corrupt("A stored fingerprint template ends inside a finger, or has too many.")
        named, length = head.unpack_from(detail, at)
        at += head.size
        if at + length > len(detail):
            raise Corrupt("A stored fingerprint template ends inside a finger.")
        prepared = PreparedFinger.from_bytes(detail[at : at + length])
        fingers.append(Finger(named, prepared) if magic == _MAGIC else _listed(named, prepared))
        at += length
    return tuple(fingers)


def _listed(may_be: int, prepared: PreparedFinger) -> Finger:
    if may_be >> _FINGERS:
        raise Corrupt("A stored fingerprint template names a finger that nobody has.")
    if may_be.bit_count() < 2:
        return Finger(may_be.bit_length(), prepared)
    possible = frozenset(number for number in range(1, _FINGERS + 1) if may_be >> number - 1 & 1)
    return Finger(UNKNOWN, prepared, possible)


def may_be_same(one: Finger, other: Finger) -> bool:
    """Whether two views may show the same finger, by their positions."""
    return not one.may_be or not other.may_be or one.may_be & other.may_be != 0


_Cell = tuple[int, int]
"""What a finger of the probe and one of the candidate may be; see `Finger.may_be`."""


def _is_named(may_be: int) -> bool:
    return may_be.bit_count() == 1


def compare(
    matcher: Matcher, probe: Fingers, candidates: Sequence[Fingers], *, exact: bool = False
) -> list[Score]:
    """The score of the probe's fingers with each candidate's, in order; `exact`: see `Matcher.compare`.

    The matcher's score is a log-odds, so independent fingers add up. Of several views that may show the same
    finger the best counts; having chosen the best of n costs ln n, so that strangers gain nothing by it. A finger
    that may be several is at most one of the other side's: of those that it may be the one that it is most like,
    so that a mark against ten prints scores as ten prints against a mark. A record that shares no finger with the
    probe says nothing: 0 pairs, and the lowest score of all.
    """
    cells: list[dict[_Cell, list[FingerComparison]]] = [{} for _ in candidates]
    for finger in probe:
        asked = [(c, o) for c, held in enumerate(candidates) for o in held if may_be_same(finger, o)]
        found = matcher.compare(finger.prepared, [other.prepared for _, other in asked], exact=exact)
        for (candidate, other), comparison in zip(asked, found, strict=True):
            cells[candidate].setdefault((finger.may_be, other.may_be), []).append(comparison)
    return [_fused(held) for held in cells]


def _fused(cells: Mapping[_Cell, Sequence[FingerComparison]]) -> Score:
    taken = _assigned(cells)
    if not taken:
        return Score(NOTHING_IN_COMMON, {"fingers": 0.0})
    best = {cell: max(cells[cell], key=lambda c: c.score) for cell in taken}
    scores = [best[cell].score - math.log(_choices(cell, cells)) for cell in taken]
    total = scores[0] if len(scores) == 1 else sum(max(score, WORST_FINGER) for score in scores)
    shown = max(best.values(), key=lambda comparison: comparison.score)
    return Score(total, {**shown.parts, "fingers": float(len(taken))})


def _assigned(cells: Mapping[_Cell, Sequence[FingerComparison]]) -> list[_Cell]:
    """Which fingers are taken for the same, each for one: those of one name, then the most similar of the rest."""
    order = sorted(
        cells,
        key=lambda cell: (
            cell[0] != cell[1] or not _is_named(cell[0]),
            -max(c.score for c in cells[cell]),
        ),
    )
    taken: list[_Cell] = []
    for cell in order:
        if all(cell[0] != one and cell[1] != other for one, other in taken):
            taken.append(cell)
    return taken


def _choices(cell: _Cell, cells: Mapping[_Cell, Sequence[FingerComparison]]) -> int:
    """Of how many comparisons the best was chosen: those of its fingers, and where one is not named all of its."""
    return sum(
        len(held)
        for other, held in cells.items()
        if other == cell or any(cell[side] == other[side] and not _is_named(cell[side]) for side in (0, 1))
    )


def best_pair(matcher: Matcher, probe: Fingers, candidate: Fingers) -> tuple[Finger, Finger] | None:
    """The two views, one of each record, that are most similar; None where no finger may be the same."""
    best: tuple[float, Finger, Finger] | None = None
    for finger in probe:
        others = [other for other in candidate if may_be_same(finger, other)]
        for other, found in zip(
            others, matcher.compare(finger.prepared, [o.prepared for o in others]), strict=True
        ):
            if best is None or found.score > best[0]:
                best = (found.score, finger, other)
    return None if best is None else best[1:]
