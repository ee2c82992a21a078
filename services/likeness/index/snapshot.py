"""Snapshots: an index, its columns and its owner's own arrays at one log position, so that a start is quick.

A snapshot is a cache of the log. One that is damaged is passed over for the one before it, and without any the
index is folded from the whole log.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt, Unavailable, WrongKey
from likeness.index import container
from likeness.index.columns import ColumnsState
from likeness.index.container import ContainerManifest, Seal

RETAINED = 2
"""Snapshots retained: the newest, and the one to fall back on."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One build of an index.

    `name` never names other contents. `kind` and `params` say how it is searched, `space` whose vectors it holds.
    It has applied the log at least up to `position`; `rows` vectors were live when it was built.
    """

    name: str
    space: str
    kind: str
    position: int
    rows: int
    params: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class IndexState:
    """A consistent copy of an index: what it says of itself (JSON) and its arrays, by name."""

    generation: Generation
    about: Mapping[str, object]
    arrays: Mapping[str, NDArray[np.generic]]

    @classmethod
    def of(cls, about: object, arrays: Mapping[str, NDArray[np.generic]]) -> IndexState:
        """What `about` and `arrays` describe; raises KeyError, TypeError or ValueError where they do not."""
        if not isinstance(about, dict):
            raise TypeError("the index does not describe itself")
        stored = about["generation"]
        generation = Generation(
            str(stored["name"]),
            str(stored["space"]),
            str(stored["kind"]),
            int(stored["position"]),
            int(stored["rows"]),
            {str(name): int(value) for name, value in stored["params"].items()},
        )
        return cls(generation, about, arrays)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What is saved together. All of it must be captured between two changes, at log position `position`.

    `extra` holds arrays of the index's owner (bool, uint8, int8, int16, int32, int64 or float32), by name.
    """

    position: int
    index: IndexState
    columns: ColumnsState
    extra: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The newest snapshot that is whole, or None, and why each newer one was refused."""

    snapshot: Snapshot | None
    refused: tuple[Corrupt, ...] = ()


def furthest(folder: Path) -> int:
    """The log position of the newest snapshot in a folder by its manifest, its content unread; 0 without any."""
    positions = [0]
    for path in folder.glob("*.json"):
        try:
            positions.append(ContainerManifest.read(path).position)
        except Corrupt:
            continue
    return max(positions)


def files_up_to(folder: Path, position: int) -> list[Path]:
    """The files of the newest snapshot in a folder that is not ahead of a log position; none without one."""
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            if ContainerManifest.read(path).position <= position:
                return [path, path.with_suffix(".snapshot")]
        except Corrupt:
            continue
    return []


class Snapshots:
    """The snapshots of one index in a folder of its own, made if absent, readable by its owner only."""

    def __init__(self, folder: Path, seal: Seal) -> None:
        self._folder = folder
        self._seal = seal
        folder.parent.mkdir(
            mode=0o700, parents=True, exist_ok=True
        )  # the mode holds for the last folder alone
        folder.mkdir(mode=0o700, exist_ok=True)

    def save(self, snapshot: Snapshot) -> Path:
        """Write a snapshot durably, then remove all but the newest RETAINED; returns its manifest.

        Raises:
            Exhausted: the disk is full; older snapshots are untouched.
            Unavailable: the folder cannot be written, or what is no longer needed cannot be removed.
        """
        with self._alone():
            return self._save(snapshot)

    def _save(self, snapshot: Snapshot) -> Path:
        about = {"index": snapshot.index.about}
        arrays = {
            **{f"index/{key}": array for key, array in snapshot.index.arrays.items()},
            "columns/cells": snapshot.columns.cells,
            "columns/facets": snapshot.columns.facets,
            **{f"extra/{key}": array for key, array in snapshot.extra.items()},
        }
        partial = self._folder / f"{snapshot.position:020d}.new"
        partial.unlink(missing_ok=True)
        manifest = container.write(
            partial, snapshot.index.generation.name, snapshot.position, about, arrays, self._seal
        )
        path = self._publish(partial, manifest)
        self._prune()
        return path

    def _publish(self, partial: Path, manifest: ContainerManifest) -> Path:
        stem = f"{manifest.position:020d}-{manifest.sha256[:16]}"
        container.publish(partial, self._folder / f"{stem}.snapshot")
        path = self._folder / f"{stem}.json"
        container.write_manifest(path, manifest)
        return path

    def sealed_heads(self, size: int) -> dict[Path, bytes]:
        """The first bytes of each snapshot as it is sealed, by its manifest's path."""
        return {
            path: container.first_sealed(path.with_suffix(".snapshot"), size) for path in self._manifests()
        }

    def reseal(self, path: Path, stop: Callable[[], bool] = lambda: False) -> None:
        """Seal the snapshot with this manifest as the seal does now, and remove what it was.

        A snapshot that is damaged is removed: it is a cache of the log.

        Raises:
            WrongKey: it was sealed under a key that is not in the key ring.
            Exhausted, Unavailable: as `save`, or `stop` returned true; the snapshot stays as it was.
        """
        with self._alone():
            if not path.exists():  # pruned meanwhile
                return
            partial = path.with_suffix(".new")
            partial.unlink(missing_ok=True)
            try:
                manifest = ContainerManifest.read(path)
                sealed = path.with_suffix(".snapshot")
                self._publish(partial, container.reseal(sealed, manifest, partial, self._seal, stop))
            except WrongKey:
                raise
            except Corrupt:
                pass
            path.unlink()
            path.with_suffix(".snapshot").unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else writes snapshots into the folder meanwhile, in this process or in another."""
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def newest(self) -> Loaded:
        """The newest snapshot that is whole.

        Raises:
            WrongKey: a whole snapshot was sealed under a key that is not in the key ring.
        """
        refused: list[Corrupt] = []
        for path in self._manifests():
            try:
                return Loaded(self.load(path), tuple(refused))
            except WrongKey:
                raise
            except Corrupt as error:
                refused.append(error)
        return Loaded(None, tuple(refused))

    def load(self, path: Path) -> Snapshot:
        """The snapshot with this manifest.

        Raises:
            Corrupt: a byte of it was changed, or a part is missing.
            WrongKey: it was sealed under another key.
        """
        manifest = ContainerManifest.read(path)
        about, arrays = container.read(path.with_suffix(".snapshot"), manifest, self._seal)

        def part(prefix: str) -> dict[str, NDArray[np.generic]]:
            return {
                key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)
            }

        columns = part("columns/")
        try:
            state = ColumnsState(
                columns["cells"].astype(np.int64, copy=False), columns["facets"].astype(np.uint8, copy=False)
            )
            return Snapshot(
                manifest.position, IndexState.of(about["index"], part("index/")), state, part("extra/")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(
                f"The snapshot {path.name} lacks a part; rebuild the index from the log."
            ) from error

    def _manifests(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"), reverse=True)

    def _prune(self) -> None:
        retained = {path.stem for path in self._manifests()[:RETAINED]}
        try:
            for path in self._folder.iterdir():
                if path.suffix in {".json", ".snapshot", ".new", ".part"} and path.stem not in retained:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(
                f"The snapshot was saved, but older ones in {self._folder} cannot be removed ({error.strerror}); "
                "check the folder's rights.",
                reason="SNAPSHOTS_NOT_REMOVED",
            ) from error
