"""Fingers drawn at random, for galleries and demonstrations: minutiae along the ridges of arches, loops and whorls.

Drawn in numpy by the rules that `models/train/fingerprint_embedding.py` trains by, from other seeds; see there for
the sources. Lengths are pixels at 500 dpi. `benchmarks/fingerprint_synthesis.py` shows how near scores of drawn
fingers come to those of real ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from likeness.fingerprint.minutiae import FingerView, Minutiae, MinutiaKind, Record

Floats = NDArray[np.float64]
Orientation = tuple[Floats, Floats, Floats]
Finger = tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.uint8], Orientation]
"""Fingers drawn together: places [b, slots, 2], turns [b, slots], which slots are taken, kinds, orientation."""

BATCH = 250
"""Fingers drawn together."""
ENDINGS = 0.6
"""Share of minutiae that are ridge endings; the others are bifurcations."""
FLIPPED = 0.184
"""Share of kinds that an impression shows wrongly, so that two impressions differ in 30% as measured."""
NOISE = (0.35, 1.3)
"""Least and greatest noise of an impression; 1 is what was measured on real templates. With this range the scores
of mates lie between those of the two extractors that were measured."""
EDGE = 20
"""Pixels between the outermost minutia and the edge of a record."""
_SLOTS = 144
_TRIES = 420
_STRAYS = 40


def draw(count: int, seed: int) -> list[Minutiae]:
    """One impression each of `count` fingers."""
    return [one for (one,) in impressions(count, 1, seed)]


def impressions(count: int, each: int, seed: int) -> Iterator[tuple[Minutiae, ...]]:
    """`each` impressions of every one of `count` fingers, finger by finger."""
    for start in range(0, count, BATCH):
        random = np.random.default_rng((seed, start))
        size = min(BATCH, count - start)
        fingers = _fingers(size, random)
        yield from zip(*(_impressions(fingers, random) for _ in range(each)), strict=True)


def record_of(minutiae: Minutiae, position: int = 0) -> Record:
    """A record of one view, its minutiae moved to where pixels are counted from."""
    low = minutiae.xy.min(axis=0) - EDGE
    xy = np.rint(minutiae.xy - low).astype(np.float32)
    width, height = (int(side) + EDGE for side in xy.max(axis=0))
    moved = Minutiae(xy, minutiae.angle, minutiae.kind, minutiae.quality)
    return Record("drawn", (FingerView(moved, position=position, width=width, height=height),))


def thinned(minutiae: Sequence[Minutiae], count: int) -> list[Minutiae]:
    """Those that have at least `count` minutiae, with the `count` nearest to their middle."""
    chosen = []
    for one in minutiae:
        if len(one) >= count:
            middle = one.xy - np.median(one.xy, axis=0)
            near = np.argsort(np.hypot(*middle.T), kind="stable")[:count]
            chosen.append(Minutiae(one.xy[near], one.angle[near], one.kind[near], one.quality[near]))
    return chosen


def _smooth(xy: Floats, length: float, random: Generator, terms: int = 16) -> Floats:
    """A smooth field of unit variance at points [b, n, 2]: [b, n]."""
    waves = random.standard_normal((len(xy), 2, terms)) / length
    phase = random.uniform(0, 2 * np.pi, (len(xy), 1, terms))
    return np.asarray(np.cos(xy @ waves + phase).sum(-1) * np.sqrt(2 / terms))


def _orientation(xy: Floats, frame: Orientation) -> Floats:
    """Ridge orientation at points [b, n, 2]: [b, n]. `frame`: signed centres of winding and their signs, bows."""
    centres, signs, bow = frame
    apart = xy[:, :, None] - centres[:, None]
    field = 0.5 * (np.arctan2(apart[..., 1], apart[..., 0]) * signs[:, None]).sum(-1)
    lifted = np.sin(np.pi * xy[..., 0] / bow[:, 1:]) * np.exp(-(((xy[..., 1] - 40) / 120) ** 2))
    return np.asarray(field + bow[:, :1] * lifted)


def _in_ellipse(shape: tuple[int, int], axes: Floats, random: Generator) -> Floats:
    radius, around = np.sqrt(random.random(shape)), random.uniform(0, 2 * np.pi, shape)
    return np.stack([radius * np.cos(around), radius * np.sin(around)], -1) * axes[:, None]


def _frame(count: int, random: Generator) -> Orientation:
    kind, side = random.random(count), random.choice([-1.0, 1.0], count)
    wobble = random.standard_normal((count, 3, 2)) * 14
    core = np.array([0.0, -25.0]) + wobble[:, 0]
    lower = core + np.stack([8 * side, random.uniform(22, 67, count)], -1)
    near = np.stack([75 * side, np.full(count, 85.0)], -1) + wobble[:, 1]
    far = np.stack([-85 * side, np.full(count, 95.0)], -1) + wobble[:, 2]
    arch, whorl = kind > 0.92, kind < 0.32
    one = np.where(arch, 0.0, 1.0)
    two = np.where(whorl, 1.0, 0.0)
    bow = np.where(arch, random.uniform(0.6, 1.1, count), 0.0)
    return (
        np.stack([core, lower, near, far], 1),
        np.stack([one, two, -one, -two], -1),
        np.stack([bow, random.uniform(120, 180, count)], -1),
    )


def _fingers(count: int, random: Generator) -> Finger:
    """`count` fingers."""
    axes = np.stack([random.uniform(110, 155, count), random.uniform(140, 205, count)], -1)
    gap = random.uniform(7, 13, count)
    tried = _in_ellipse((count, _TRIES), axes, random)
    crowded = random.random((count, _TRIES)) < 1 / (1 + np.exp(-_smooth(tried, 60, random)))
    target = np.pi * axes.prod(-1) * np.exp(random.uniform(-0.6, 0.6, count)) * 1.25e-3
    target = np.clip(target, 12, _SLOTS)
    xy = np.full((count, _SLOTS, 2), 1e6)
    taken = np.zeros(count, np.int64)
    for t in range(_TRIES):
        apart = xy - tried[:, t, None]
        free = (apart[..., 0] ** 2 + apart[..., 1] ** 2).min(1) > gap**2
        chosen = np.flatnonzero(crowded[:, t] & free & (taken < target))
        xy[chosen, taken[chosen]] = tried[chosen, t]
        taken[chosen] += 1
    present = np.arange(_SLOTS) < taken[:, None]
    xy[~present] = 0.0
    frame = _frame(count, random)
    reversed_ = (_smooth(xy, 70, random) > 0) ^ (random.random((count, _SLOTS)) < 0.3)
    turn = _orientation(xy, frame) + np.pi * reversed_ + 0.08 * random.standard_normal((count, _SLOTS))
    kind = np.where(
        random.random(present.shape) < ENDINGS, MinutiaKind.ENDING, MinutiaKind.BIFURCATION
    ).astype(np.uint8)
    return xy, turn, present, kind, frame


def _impressions(fingers: Finger, random: Generator) -> list[Minutiae]:
    """One impression of each finger: minutiae lost, found, moved, turned; the finger displaced and distorted."""
    xy, turn, present, kind, frame = fingers
    count = len(xy)
    contact = np.stack([random.uniform(75, 135, count), random.uniform(90, 175, count)], -1)
    centre = random.standard_normal((count, 1, 2)) * 30
    noise = random.uniform(*NOISE, (count, 1))
    seen = present & ((((xy - centre) / contact[:, None]) ** 2).sum(-1) < 1)
    faint = 0.5 * (_smooth(xy, 40, random) < 1.2 * noise - 2.6)
    seen &= random.random(seen.shape) > 0.22 * random.random((count, 1)) * noise + faint
    strays = _in_ellipse((count, _STRAYS), contact, random) + centre
    stray_turn = _orientation(strays, frame) + np.pi * random.integers(0, 2, (count, _STRAYS))
    stray_turn = stray_turn + 0.25 * random.standard_normal(stray_turn.shape)
    most = np.minimum(seen.sum(1, keepdims=True) * 0.32 * random.random((count, 1)) * noise + 1, _STRAYS)
    at = np.concatenate([xy, strays], 1)
    shown = np.concatenate([seen, np.arange(_STRAYS) < most], 1)
    towards = np.concatenate([turn, stray_turn], 1)
    shape = towards.shape
    tail = np.where(random.random((*shape, 1)) < 0.12, 2.6, 1.0)
    bend = np.stack([_smooth(at, 60, random), _smooth(at, 60, random)], -1) * 2.3
    moved = at + noise[..., None] * (bend + 2.2 * tail * random.standard_normal((*shape, 2)))
    moved = moved @ (np.eye(2) + 0.02 * random.standard_normal((count, 2, 2)))
    wide = np.where(random.random(shape) < 0.15, 2.8, 1.0)
    towards = towards + 0.09 * wide * noise * random.standard_normal(shape)
    towards = towards + np.pi * (random.random(shape) < 0.03)
    spin = 0.3 * random.standard_normal((count, 1))
    x = np.cos(spin) * moved[..., 0] - np.sin(spin) * moved[..., 1]
    y = np.sin(spin) * moved[..., 0] + np.cos(spin) * moved[..., 1]
    angle = np.mod(-(towards + spin), 2 * np.pi)
    place = np.stack([x, y], -1).astype(np.float32)
    kinds = _seen_kinds(kind, shape, random)
    return [_minutiae(place[i][shown[i]], angle[i][shown[i]], kinds[i][shown[i]]) for i in range(count)]


def _seen_kinds(kind: NDArray[np.uint8], shape: tuple[int, ...], random: Generator) -> NDArray[np.uint8]:
    """The kinds that an impression shows: of the finger's own minutiae, some flipped, and of the strays."""
    strays = np.where(random.random((shape[0], shape[1] - kind.shape[1])) < ENDINGS, 1, 2)
    true = np.concatenate([kind, strays], axis=1)
    return np.where(random.random(shape) < FLIPPED, 3 - true, true).astype(np.uint8)


def _minutiae(xy: NDArray[np.float32], angle: NDArray[Any], kind: NDArray[np.uint8]) -> Minutiae:
    return Minutiae(xy, angle.astype(np.float32), kind, np.zeros(len(xy), np.uint8))
