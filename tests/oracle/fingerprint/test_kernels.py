"""The compiled kernels against the published definition, on drawn fingers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.kernel import Arrays
from likeness.fingerprint.prepared import prepare
from likeness.fingerprint.screen import core, rough_similarities
from likeness.fingerprint.similarity import (
    best_pairs,
    compatibilities,
    global_score,
    local_similarities,
    pair_count,
    relax,
    trusted,
)
from tests.oracle.fingerprint import naive
from tests.oracle.fingerprint.drawn_fingers import of_one_finger

COUNT = 24
"""Minutiae of the templates that are compared; the slow definition is slow."""


@pytest.fixture(scope="module")
def two() -> tuple[Arrays, Arrays]:
    """Two impressions of one finger."""
    one, other = of_one_finger(COUNT, 20, 5)
    return prepare(one).arrays, prepare(other).arrays


def unpacked(one: Arrays) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Bits [n, sections, cells, cells] and valid cells [n, cells, cells] of packed cylinders."""
    n = len(one.turn)

    def as_bits(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
        return np.unpackbits(np.ascontiguousarray(words.T).view(np.uint8), axis=1, bitorder="little")

    bits = as_bits(one.bits).reshape(n, p.MASK_WORDS, p.SECTIONS, 64).transpose(0, 2, 1, 3)
    shape = (p.CELLS, p.CELLS)
    return bits.reshape(n, p.SECTIONS, *shape) > 0, as_bits(one.masks).reshape(n, *shape) > 0


def test_cylinders_are_those_of_the_paper(two: tuple[Arrays, Arrays]) -> None:
    one = two[0]
    sums, valid, usable = naive.cylinders(one.xy.astype(float), one.turn.astype(float))
    bits, cells = unpacked(one)
    clear = np.abs(sums - naive.MU_PSI) > 1e-5  # nearer than this, single precision may decide otherwise
    wanted = (sums > naive.MU_PSI) & valid[:, None]
    assert wanted.sum() > 50 * COUNT
    assert (bits == wanted)[clear].all()
    assert (cells == valid).all()
    assert (one.valid.astype(bool) == usable).all()


def test_local_similarities_are_those_of_the_paper(two: tuple[Arrays, Arrays]) -> None:
    a, b = two
    out = np.empty((COUNT, COUNT), np.float32)
    local_similarities(a, b, out)
    (bits_a, cells_a), (bits_b, cells_b) = unpacked(a), unpacked(b)
    wanted = np.zeros((COUNT, COUNT))
    for i in range(COUNT):
        for j in range(COUNT):
            turned = abs(naive.wrapped(float(a.turn[i]) - float(b.turn[j])))
            if turned <= np.pi / 2 and a.valid[i] and b.valid[j]:
                wanted[i, j] = naive.similarity(bits_a[i], cells_a[i], bits_b[j], cells_b[j])
    assert (wanted > 0).sum() > COUNT
    assert out == pytest.approx(wanted, abs=1e-5)


def test_rough_similarities_are_those_by_the_lengths_of_whole_cylinders(two: tuple[Arrays, Arrays]) -> None:
    a, b = two
    exact, rough = np.empty((COUNT, COUNT), np.float32), np.empty((COUNT, COUNT), np.float32)
    local_similarities(a, b, exact)
    rough_similarities(core(a), core(b), rough)
    (bits_a, cells_a), (bits_b, cells_b) = unpacked(a), unpacked(b)
    length_a, length_b = (np.sqrt(bits.sum((1, 2, 3))) for bits in (bits_a, bits_b))
    wanted = np.zeros((COUNT, COUNT))
    for i, j in np.argwhere(exact > 0):
        apart = np.sqrt(((bits_a[i] != bits_b[j]) & cells_a[i] & cells_b[j]).sum())
        wanted[i, j] = 1 - apart / (length_a[i] + length_b[j])
    assert (exact > 0).sum() > COUNT
    assert rough[exact > 0] == pytest.approx(wanted[exact > 0], abs=1e-5)
    assert (rough >= exact - 1e-6).all()


def test_relaxation_and_global_score_are_those_of_the_paper(two: tuple[Arrays, Arrays]) -> None:
    a, b = two
    similarity = np.empty((COUNT, COUNT), np.float32)
    local_similarities(a, b, similarity)
    top = best_pairs(similarity, COUNT)
    rows, columns = top // COUNT, top % COUNT
    start = similarity[rows, columns]
    assert start == pytest.approx(np.sort(similarity.ravel())[::-1][:COUNT])
    after = relax(start, compatibilities(rows, columns, a.xy, a.turn, b.xy, b.turn))
    places = (a.xy.astype(float), a.turn.astype(float), b.xy.astype(float), b.turn.astype(float))
    pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
    wanted = naive.relaxed(start.astype(float), pairs, *places)
    assert after == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    count = pair_count(COUNT, COUNT)
    assert count == naive.pair_count(COUNT, COUNT)
    assert global_score(start, after, count) == pytest.approx(
        naive.global_score(start.astype(float), wanted, count), rel=1e-4
    )


def test_a_similarity_loses_by_the_trust_of_both_minutiae(two: tuple[Arrays, Arrays]) -> None:
    random = np.random.default_rng(3)
    a, b = (one._replace(trust=random.random(COUNT).astype(np.float32)) for one in two)
    similarity = random.random((COUNT, COUNT)).astype(np.float32)
    left = np.outer(1 - p.DOUBT * (1 - a.trust), 1 - p.DOUBT * (1 - b.trust))
    assert trusted(similarity, a, b) == pytest.approx(similarity * left, abs=1e-6)


@pytest.mark.parametrize(("na", "nb"), [(1, 1), (12, 90), (20, 20), (40, 25), (128, 128)])
def test_the_number_of_pairs_is_that_of_the_paper(na: int, nb: int) -> None:
    assert pair_count(na, nb) == naive.pair_count(na, nb)
