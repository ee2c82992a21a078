"""Engines over a real store, as the server takes them, of whatever modalities a test has."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from likeness.domain.modality import Modality
from likeness.domain.quotas import QuotaLimits
from likeness.engine.engine import Engine
from likeness.engine.opening import Running, open_engine
from likeness.store.act_socket import ActSocket
from likeness.store.store import Store
from likeness.transparency.note import Signer

_LIMITS = QuotaLimits()


class LocalComposition:
    """Implements `likeness.rpc.server.Composition`.

    Attributes:
        store: what all engines write to.
        closed: set once everything is closed.
    """

    def __init__(self, store: Store, running: Sequence[Running]) -> None:
        self.store = store
        self.closed = threading.Event()
        self._running = running
        self._acts = ActSocket(store.data_dir, store.audit)
        self._signer = Signer.generate("likeness.testing/log")

    @classmethod
    def open(
        cls,
        home: Path,
        *modalities: Modality,
        key_file: Path | None = None,
        snapshots: Path | None = None,
        snapshot_seconds: float = 300.0,
        keep_sources: bool = False,
        limits: QuotaLimits = _LIMITS,
    ) -> Self:
        """Open a store and an engine for each modality over it.

        Args:
            home: the folder of the store, made if there is none.
            modalities: what extracts and compares, each of another name.
            key_file: the key ring; None means the one in the home, made on first use.
            snapshots: a folder for the snapshots of every index; None stores none.
            snapshot_seconds: how often, at most, a snapshot is taken.
            keep_sources: whether enrolled samples are stored with their templates.
            limits: how often one caller may search and compare.

        Raises what `Store.open` and `open_engine` raise.
        """
        store = Store.open(home, key_file=key_file or home / "keys.json")
        running = [
            open_engine(
                modality,
                store,
                snapshots / modality.name if snapshots else None,
                snapshot_seconds=snapshot_seconds,
                keep_sources=keep_sources,
                limits=limits,
            )
            for modality in modalities
        ]
        return cls(store, running)

    @property
    def engines(self) -> Mapping[str, Engine]:
        """Modality to engine."""
        return {running.engine.modality_name: running.engine for running in self._running}

    def close(self) -> None:
        """Close the engines and the store; blocks."""
        for running in self._running:
            running.close()
        self._acts.close()
        self.store.close()
        self.closed.set()

    @property
    def signer(self) -> Signer:
        """A key for this composition alone."""
        return self._signer
