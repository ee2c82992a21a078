"""The codebook: codes keep the distances of descriptors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.domain.errors import Corrupt
from likeness.object.codebook import Codebook, codebook
from likeness.object.local import raw
from tests.unit.object import things


def test_distances_of_codes_are_those_of_descriptors() -> None:
    descriptors = np.concatenate([raw(things.thing(n))[0] for n in range(3)])
    codes = codebook().encode(descriptors).astype(np.float64)
    random = np.random.default_rng(0)
    a, b = random.integers(0, len(codes), (2, 2000))
    real = np.linalg.norm(descriptors[a] - descriptors[b], axis=1)
    coded = np.linalg.norm(codes[a] - codes[b], axis=1)
    assert np.corrcoef(real, coded)[0, 1] > 0.9


def test_the_nearest_word_is_the_nearest() -> None:
    held = codebook()
    codes = held.encode(raw(things.thing(7))[0])[:50]
    far = ((codes[:, None].astype(np.float64) - held.words[None]) ** 2).sum(2)
    assert held.nearest(codes).tolist() == far.argmin(1).tolist()


def test_a_file_that_is_no_codebook_is_refused(tmp_path: Path) -> None:
    held = codebook()
    arrays = {"mean": held.mean, "axes": held.axes, "words": held.words, "steps": np.float32(held.steps)}
    good = tmp_path / "good.npz"
    np.savez(good, **arrays)  # type: ignore[arg-type]
    assert Codebook.load(good).dimension == held.dimension
    with pytest.raises(Corrupt):
        Codebook.load(tmp_path / "missing.npz")
    np.savez(tmp_path / "short.npz", **{**arrays, "mean": held.mean[:9]})  # type: ignore[arg-type]
    with pytest.raises(Corrupt, match="do not fit"):
        Codebook.load(tmp_path / "short.npz")
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(Corrupt):
        Codebook.load(tmp_path / "text.npz")
