"""EXHAUSTIVE answers of the shipped models over two shards are those over one.

Scores within `ROUNDING`: the terms of a score may be added up in another order in a list of another length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.changes import RequestKey
from likeness.domain.deadline import NO_DEADLINE
from likeness.domain.modality import Modality
from likeness.domain.references import Facets, Reference
from likeness.domain.samples import Mode, Sample
from likeness.domain.scope import Scope
from likeness.engine.engine import Engine
from likeness.engine.local_shard import LocalShard
from likeness.engine.memory import Memory
from likeness.engine.merge import Shards
from likeness.engine.shard import Scored, Shard, ShardQuery
from likeness.fingerprint.formats import Standard, write
from likeness.fingerprint.minutiae import Minutiae
from likeness.fingerprint.modality import FingerprintModality
from likeness.fingerprint.synthesis import impressions, record_of
from likeness.inference.concurrency.turns import Turns
from likeness.object.modality import ObjectModality
from likeness.store.store import Store
from tests.support import ALICE
from tests.unit.object.things import Pixels, encoded, inside, thing, tilted

FINGERS = 260
"""More than a list from which the cascade leaves candidates out, over one shard; fewer over two."""
ROUNDING = 1e-9
NOW = 1_800_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data", key_file=tmp_path / "keys.json") as opened:
        yield opened


def one_and_two(modality: Modality, store: Store, references: Sequence[bytes]) -> tuple[Shard, Shard]:
    """A shard of all references, and two merged that hold them by turns.

    By turns and not by `place`: identifiers are drawn anew each time, and details as far apart as the last that is
    looked at are taken in another order in each division.
    """
    whole = LocalShard.folded(modality, store)
    engine = Engine(modality, store, whole, Memory(store))
    ids = []
    for number, data in enumerate(references):
        key = RequestKey(ALICE.entity, str(number), hashlib.sha256(data).digest())
        described = Reference("", modality.name, Facets(owner=ALICE.entity), subject_id=str(number))
        made = engine.enrol(ALICE, key, described, Sample(data, "a reference"), override="drawn")
        ids.append(made.reference.reference_id)
    halves = [set(ids[first::2]) for first in (0, 1)]
    return whole, Shards([LocalShard.folded(modality, store, holds=half.__contains__) for half in halves])


def found(shard: Shard, modality: Modality, data: bytes) -> list[Scored]:
    (extraction,) = modality.extract([Sample(data, "a probe")], Mode.PROBE)
    template = extraction.findings[0].template
    assert template is not None
    query = ShardQuery(Scope(ALICE), NOW, (template,), 1000, exhaustive=True)
    return list(shard.search(query, NO_DEADLINE).scored[0])


def assert_equal(answer: list[Scored], other: list[Scored]) -> None:
    assert [reference_id for reference_id, _ in answer] == [reference_id for reference_id, _ in other]
    for (_, one), (_, another) in zip(answer, other, strict=True):
        assert one.value == pytest.approx(another.value, rel=0, abs=ROUNDING)
        assert one.parts == pytest.approx(another.parts)
        assert one.likelihood == another.likelihood


def test_fingers(store: Store) -> None:
    modality = FingerprintModality.load(calibration=None, turns=Turns(1))
    drawn = list(impressions(FINGERS, 2, seed=4))
    whole, several = one_and_two(modality, store, [record(first) for first, _ in drawn])
    for _, second in drawn[:2]:
        answer = found(whole, modality, record(second))
        assert len(answer) == FINGERS
        assert_equal(found(several, modality, record(second)), answer)


def record(minutiae: Minutiae) -> bytes:
    return write(record_of(minutiae, 1), Standard.ISO_2005)


def test_things_that_share_a_scene(store: Store) -> None:
    """The scene is clutter, which neither shard would find as common as it is.

    It is noisy, so that hardly any two of its details are equally far from one of the probe.
    """
    modality = ObjectModality.load(calibration=None, turns=Turns(1))
    scene = thing(99, 640, 520)
    random = np.random.default_rng(7)
    shown = [noisy(inside(thing(number), scene, (150, 120), 0.9), random) for number in range(12)]
    whole, several = one_and_two(modality, store, [encoded(image) for image in shown])
    for image in (shown[3], tilted(shown[8])):
        answer = found(whole, modality, encoded(image))
        assert len(answer) == len(shown)
        assert_equal(found(several, modality, encoded(image)), answer)


def noisy(image: Pixels, random: np.random.Generator) -> Pixels:
    return np.clip(image + random.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
