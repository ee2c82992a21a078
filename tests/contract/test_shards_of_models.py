"""EXHAUSTIVE answers of the shipped models over two, three and four shards are those over one, to the last bit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

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
from tests.unit.object.things import encoded, inside, thing, tilted

FINGERS = 260
"""More than a list from which the cascade leaves candidates out, over one shard; fewer over two."""
THINGS = 24
"""More than neighbours of a detail are asked for, so that not all fit in whose details are equal."""
DIVISIONS = (2, 3, 4)
NOW = 1_800_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data", key_file=tmp_path / "keys.json") as opened:
        yield opened


def divided(modality: Modality, store: Store, references: Sequence[bytes]) -> tuple[Shard, list[Shard]]:
    """A shard of all references; and so many merged that hold them by turns, for each of `DIVISIONS`."""
    whole = LocalShard.folded(modality, store)
    engine = Engine(modality, store, whole, Memory(store))
    ids = []
    for number, data in enumerate(references):
        key = RequestKey(ALICE.entity, str(number), hashlib.sha256(data).digest())
        described = Reference("", modality.name, Facets(owner=ALICE.entity), subject_id=str(number))
        made = engine.enrol(ALICE, key, described, Sample(data, "a reference"), override="drawn")
        ids.append(made.reference.reference_id)
    several: list[Shard] = []
    for count in DIVISIONS:
        parts = [set(ids[first::count]) for first in range(count)]
        several.append(
            Shards([LocalShard.folded(modality, store, holds=part.__contains__) for part in parts])
        )
    return whole, several


def found(shard: Shard, modality: Modality, data: bytes) -> list[Scored]:
    (extraction,) = modality.extract([Sample(data, "a probe")], Mode.PROBE)
    template = extraction.findings[0].template
    assert template is not None
    query = ShardQuery(Scope(ALICE), NOW, (template,), 1000, exhaustive=True)
    return list(shard.search(query, NO_DEADLINE).scored[0])


def test_fingers(store: Store) -> None:
    modality = FingerprintModality.load(calibration=None, turns=Turns(1))
    drawn = list(impressions(FINGERS, 2, seed=4))
    whole, several = divided(modality, store, [record(first) for first, _ in drawn])
    for _, second in drawn[:2]:
        answer = found(whole, modality, record(second))
        assert len(answer) == FINGERS
        assert all(found(shards, modality, record(second)) == answer for shards in several)


def record(minutiae: Minutiae) -> bytes:
    return write(record_of(minutiae, 1), Standard.ISO_2005)


def test_things_that_share_a_scene(store: Store) -> None:
    """The scene is clutter, which no shard would find as common as it is; its details are equal in all of them."""
    modality = ObjectModality.load(calibration=None, turns=Turns(1))
    scene = thing(99, 640, 520)
    shown = [inside(thing(number), scene, (150, 120), 0.9) for number in range(THINGS)]
    whole, several = divided(modality, store, [encoded(image) for image in shown])
    for image in (shown[3], tilted(shown[8]), scene):
        answer = found(whole, modality, encoded(image))
        assert len(answer) == THINGS
        assert all(found(shards, modality, encoded(image)) == answer for shards in several)
