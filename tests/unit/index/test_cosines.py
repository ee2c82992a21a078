"""Inner products whose last bit does not depend on what else is multiplied."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from likeness.index.cosines import cosines


def unit(count: int, dimension: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("dimension", [128, 256, 512])
def test_the_last_bit_is_the_same_in_every_company_and_order(dimension: int) -> None:
    one, others = unit(1, dimension, 1), unit(1000, dimension, 2)
    alone = np.concatenate([cosines(other[None], one) for other in others])
    turned = np.random.default_rng(3).permutation(dimension)
    for count in (1, 7, 64, 1000):
        np.testing.assert_array_equal(cosines(others[:count], one), alone[:count])
        np.testing.assert_array_equal(cosines(others[-count:], np.repeat(one, 5, 0))[:, 3:4], alone[-count:])
        np.testing.assert_array_equal(cosines(one, others[:count]).T, alone[:count])
        np.testing.assert_array_equal(cosines(others[:count, turned], one[:, turned]), alone[:count])


def test_they_are_those_of_exact_arithmetic() -> None:
    one, other = unit(4, 256, 4), unit(4, 256, 5)
    for n in range(4):
        exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(one[n], other[n], strict=True))
        assert abs(float(cosines(one[n][None], other[n][None])[0, 0]) - float(exact)) < 1e-7
        assert cosines(one[n][None], one[n][None])[0, 0] == pytest.approx(1, abs=1e-6)
