"""The fusion: every part counts in its direction, bands need evidence, and a damaged file is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.answers import Likelihood
from likeness.domain.errors import Corrupt
from likeness.object import parameters as p
from likeness.object.background import Background, background
from likeness.object.fusion import FEATURES, Fusion, Measures, features, fusion

MATE = Measures(0.8, 0.4, 110, 56, 0.2, 0.7, 0.5, 0)
LIKELY = Measures(0.6, 0.4, 40, 30, 0.5, 0.5, 0.6, 0)
STRANGER = Measures(0.3, 0.0)


def test_the_shipped_weights_tell_mates_from_strangers() -> None:
    assert fusion().score(MATE) > fusion().strong_from > fusion().score(STRANGER)
    assert fusion().strong_from >= fusion().score(LIKELY) >= fusion().probable_from > fusion().score(STRANGER)


@pytest.mark.parametrize("part", ["normalised_cosine", "spread", "hull_area", "agreement", "inlier_share"])
def test_more_evidence_never_lowers_the_score(part: str) -> None:
    more = replace(MATE, **{part: getattr(MATE, part) * 1.3})
    assert fusion().score(more) >= fusion().score(MATE)
    few = replace(MATE, spread=6.0)
    assert fusion().score(replace(few, **{part: getattr(few, part) * 1.3})) >= fusion().score(few)


def test_without_inliers_only_the_embedding_counts() -> None:
    assert np.count_nonzero(features(replace(STRANGER, normalised_cosine=0.2))) == 1
    assert len(features(MATE)) == len(FEATURES)


def test_what_chance_explains_is_no_evidence() -> None:
    chance = replace(
        STRANGER, inliers=5, spread=4, hull_area=0.3, agreement=0.5, inlier_share=0.2, mirrored=1
    )
    assert features(chance).tolist() == features(STRANGER).tolist()
    assert fusion().score(replace(chance, spread=9, mirrored=0)) > fusion().score(chance) + 1
    assert fusion().likelihood(99.0, chance.parts()) == Likelihood.SIMILAR
    assert fusion().likelihood(99.0, replace(chance, spread=9).parts()) == Likelihood.STRONG


def test_bands() -> None:
    made = Fusion(np.ones(len(FEATURES)), 0.0, 2.0, 1.0, "t", "nothing")
    parts = MATE.parts()
    bands = [made.likelihood(score, parts) for score in (0.99, 1.0, 2.0)]
    assert bands == [Likelihood.SIMILAR, Likelihood.PROBABLE, Likelihood.STRONG]
    assert made.likelihood(99.0, STRANGER.parts()) == Likelihood.SIMILAR


def test_the_more_is_contradicted_the_less_is_claimed() -> None:
    steps = (0.0, p.DOUBTED_FROM, p.CONTRADICTED_FROM, p.CONTRADICTED_ALL, 0.9)
    parts = [replace(MATE, contradicted=step) for step in steps]
    assert [fusion().likelihood(99.0, one.parts()) for one in parts] == [
        Likelihood.STRONG,
        Likelihood.PROBABLE,
        *[Likelihood.SIMILAR] * 3,
    ]
    scores = [fusion().score(one) for one in parts]
    assert scores[0] == scores[1] > scores[2] > scores[3] == scores[4]
    embedded = Measures(MATE.cosine, MATE.normalised_cosine)
    assert scores[4] == pytest.approx(fusion().score(embedded))


def test_a_written_fusion_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "fusion.json"
    fusion().write(path)
    again = Fusion.load(path)
    assert again.score(MATE) == pytest.approx(fusion().score(MATE), abs=1e-4)
    held = json.loads(path.read_text())
    for broken in (
        {**held, "weights": {}},
        {**held, "bias": "x"},
        {**held, "strong_from": float("inf")},
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(Corrupt):
            Fusion.load(path)
    with pytest.raises(Corrupt):
        Fusion.load(tmp_path / "missing.json")


def test_a_background_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "b.npz"
    background().write(path)
    assert Background.load(path).vectors == pytest.approx(background().vectors, abs=1e-3)
    np.savez(path, vectors=np.zeros((0, 4), np.float16))
    with pytest.raises(Corrupt):
        Background.load(path)
    path.write_bytes(b"no")
    with pytest.raises(Corrupt):
        Background.load(path)
