"""Sealing old data under the current key while serving."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from likeness.app.composition import Composed, snapshots_folder
from likeness.app.settings import Settings, load
from likeness.domain.errors import Unavailable
from likeness.domain.storage import ResealReport
from likeness.engine import resealing
from likeness.engine.gallery import Gallery
from likeness.engine.resealing import Resealing, reseal_snapshots, snapshot_keys
from likeness.index.snapshot import Snapshots
from likeness.inference.concurrency.turns import Turns
from likeness.store import reseal
from likeness.store.store import Store
from likeness.store.vault import KeyRing, KeyUse
from likeness.testing.vectors import VectorModality
from tests.unit.store.writes import enrol
from tests.waiting import eventually


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(environment={}, overrides={"home": tmp_path / "home"})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A store with references and a snapshot that an older key sealed."""
    ring = settings.home / "keys.json"
    with Store.open(settings.home, key_file=ring) as store:
        store.write([enrol(i, reference_id=f"r{i}") for i in range(6)])
        modality = VectorModality()
        gallery = Gallery(modality.name, modality.space, store)
        for name in ("face", "object"):
            folder = snapshots_folder(settings) / name
            Snapshots(folder, store.snapshot_seal()).save(gallery.capture())
    KeyRing.rotate(ring)
    with Store.open(settings.home, key_file=ring) as store:
        yield store


def keys_of_snapshots(settings: Settings, store: Store) -> set[str]:
    return set(snapshot_keys(snapshots_folder(settings), store.snapshot_seal()))


def test_a_server_brings_everything_under_the_current_key(settings: Settings, store: Store) -> None:
    assert keys_of_snapshots(settings, store) == store.old_keys()
    composed = Composed(store, Turns(1))
    composed.reseal(settings)
    eventually(lambda: not store.old_keys())
    composed.close()
    with Store.open(settings.home, key_file=settings.home / "keys.json") as again:
        assert keys_of_snapshots(settings, again) == {again.active_key}
        assert again.verify(full=True).problems == ()


def test_it_stops_with_the_server_and_the_next_one_goes_on(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "ROWS", 1)
    monkeypatch.setattr(resealing, "REST", 1e9)
    first = Resealing(store, snapshots_folder(settings))
    first.start()

    def loads() -> dict[str, reseal.KeyLoad]:
        return reseal.key_loads(store._backend, store._reading)

    eventually(lambda: store.active_key in loads())
    first.close()
    assert loads()[store.active_key].references == 1
    monkeypatch.setattr(resealing, "REST", 0.0)
    second = Resealing(store, snapshots_folder(settings))
    second.start()
    eventually(lambda: not store.old_keys())
    second.close()
    assert loads().keys() == {store.active_key}


def test_a_failure_that_may_pass_is_tried_again(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resealing, "RETRY_SECONDS", 0.01)
    whole, failures = Store.reseal, iter((Unavailable("The disk is full."), None))

    def failing(self: Store, **options: object) -> ResealReport:
        if (error := next(failures, None)) is not None:
            raise error
        return whole(self, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "reseal", failing)
    with caplog.at_level(logging.ERROR):
        thread = Resealing(store, snapshots_folder(settings))
        thread.start()
        eventually(lambda: not store.old_keys())
        thread.close()
    assert "sealing under the current key failed" in caplog.text


def test_a_snapshot_is_the_same_under_the_current_key_and_stands_alone(
    settings: Settings, store: Store
) -> None:
    vault = store.snapshot_seal()
    snapshots = Snapshots(snapshots_folder(settings) / "face", vault)
    before = snapshots.newest().snapshot
    assert reseal_snapshots(snapshots_folder(settings), vault) == 2
    assert reseal_snapshots(snapshots_folder(settings), vault) == 0
    after = snapshots.newest().snapshot
    assert before is not None
    assert after is not None
    assert after.position == before.position
    assert np.array_equal(after.columns.cells, before.columns.cells)
    assert len(list((snapshots_folder(settings) / "face").iterdir())) == 2


def test_a_damaged_snapshot_is_removed_and_one_of_an_unknown_key_left(
    settings: Settings, store: Store
) -> None:
    (damaged,) = (snapshots_folder(settings) / "face").glob("*.snapshot")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (foreign,) = (snapshots_folder(settings) / "object").glob("*.snapshot")
    content = foreign.read_bytes()
    stranger = KeyRing.create(settings.home / "other.json").vault(KeyUse.SNAPSHOTS)
    assert reseal_snapshots(snapshots_folder(settings) / "nowhere", stranger) == 0
    # The damaged one is seen by its digest, before anything is opened.
    assert reseal_snapshots(snapshots_folder(settings), stranger) == 1
    assert not list((snapshots_folder(settings) / "face").iterdir())
    assert foreign.read_bytes() == content


def test_what_is_stopped_midway_leaves_the_snapshot_as_it_was(settings: Settings, store: Store) -> None:
    folder = snapshots_folder(settings) / "face"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    snapshots = Snapshots(folder, store.snapshot_seal())
    (manifest,) = folder.glob("*.json")
    with pytest.raises(Unavailable, match="being stopped"):
        snapshots.reseal(manifest, lambda: True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
