"""The composition root: settings to an open store and a warmed engine per modality."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likeness.app.assisting import assistant_for
from likeness.app.loading import load
from likeness.app.settings import Settings
from likeness.domain.audit import AuditMark
from likeness.domain.errors import Unavailable
from likeness.engine.engine import Engine
from likeness.engine.entry import ModalityEntry
from likeness.engine.gauges import Gauges
from likeness.engine.opening import Running, open_engine
from likeness.engine.resealing import Resealing
from likeness.engine.store_upkeep import StoreUpkeep
from likeness.inference.concurrency.memory import memory_limit
from likeness.inference.concurrency.threads import plan_threads
from likeness.inference.concurrency.turns import Turns
from likeness.store.act_socket import ActSocket
from likeness.store.backup_record import last_backup
from likeness.store.modes import exposed
from likeness.store.places import SIGNING_KEY, SNAPSHOTS
from likeness.store.signing import signing_key
from likeness.store.store import Store
from likeness.telemetry import logs, metrics
from likeness.telemetry.build import report_build
from likeness.transparency.note import Signer

if TYPE_CHECKING:
    from likeness.inference.concurrency.assistant import Assistant

_logger = logging.getLogger(__name__)


class Composed:
    """Everything that is served, and how it is closed: first what helps, then the engines, then the store."""

    def __init__(self, store: Store, turns: Turns) -> None:
        self.store = store
        self.signer: Signer | None = None
        self._turns = turns
        self._gauges = Gauges(store)
        self._gauges.add(lambda: _report_backup(store.data_dir))
        self._gauges.start()
        self._upkeep = StoreUpkeep(store)
        self._resealing: Resealing | None = None
        self._acts = _act_socket_if_possible(store)
        self._running: dict[str, Running] = {}
        self._assistants: list[Assistant[Any, Any]] = []

    def start(self) -> None:
        """Begin to look after the store."""
        self._upkeep.start()

    @property
    def engines(self) -> Mapping[str, Engine]:
        """Modality to engine."""
        return {name: running.engine for name, running in self._running.items()}

    def open(self, entry: ModalityEntry[Any, Any], settings: Settings) -> None:
        """Load a modality, fold its gallery and begin to look after it."""
        name = entry.name
        logs.event(_logger, logging.INFO, "loading", modality=name)
        assistant = assistant_for(entry, settings)
        modality = load(entry, settings, self._turns, assistant=assistant)
        logs.event(_logger, logging.INFO, "warming and folding the log", modality=name)
        self._running[name] = open_engine(
            modality,
            self.store,
            snapshots_folder(settings) / name,
            snapshot_seconds=settings.snapshot.interval,
            keep_sources=settings.store.keep_sources,
            limits=settings.quotas.limits(),
        )
        self._gauges.add(self._running[name].upkeep.gauge)
        if assistant is not None:
            self._assistants.append(assistant)
            assistant.start()

    def reseal(self, settings: Settings) -> None:
        """Begin to seal under the current key what older keys sealed."""
        self._resealing = Resealing(self.store, snapshots_folder(settings))
        self._resealing.start()

    def close(self) -> None:
        """Leave snapshots behind and close the store."""
        if self._resealing is not None:
            self._resealing.close()
        for assistant in self._assistants:
            assistant.close()
        self._gauges.close()
        for running in self._running.values():
            running.close()
        self._upkeep.close()
        if self._acts is not None:
            self._acts.close()
        self.store.close()


def compose(settings: Settings) -> Composed:
    """Open the store, load the models of every modality that is served, and fold the log.

    Raises:
        NotFound: a model is not built; the message says how to build it.
        Precondition, Corrupt, WrongKey: see `Store.open`.
        InvalidInput: a manifest or a calibration does not fit.
    """
    report_build()
    metrics.memory_limit(memory_limit())
    metrics.rpc_queue_limit(settings.grpc.queue)
    logs.event(_logger, logging.INFO, "opening the store")
    store = Store.open(
        settings.home,
        key_file=key_file(settings),
        expected=expected_head(settings),
        reserve_bytes=settings.audit.reserve_bytes,
    )
    store.observe_commits(metrics.committed)
    composed = Composed(store, Turns(plan_threads(settings.threads)))
    try:
        for item in exposed(settings.home, key_file(settings), signing_file(settings)):
            logs.event(_logger, logging.WARNING, "open to others than its owner: chmod go= it", path=item)
        composed.signer = _signer_if_possible(settings, store)
        composed.start()
        for entry in settings.served:
            composed.open(entry, settings)
        if settings.store.reseal_old_keys:
            composed.reseal(settings)
    except BaseException:
        composed.close()
        raise
    return composed


def _act_socket_if_possible(store: Store) -> ActSocket | None:
    """Where operators' commands put their acts on record; None where the home takes no socket."""
    try:
        return ActSocket(store.data_dir, store.audit)
    except OSError as error:
        logs.event(_logger, logging.WARNING, "no socket for acts of operators: they are refused", error=error)
        return None


def _report_backup(home: Path) -> None:
    """Set the gauge of the last backup, where one was ever made."""
    made = last_backup(home)
    if made is not None:
        metrics.last_backup(made.timestamp())


def expected_head(settings: Settings) -> AuditMark | None:
    """The entry that the audit chain must hold, if one is set."""
    return AuditMark.parse(settings.audit.expected_head) if settings.audit.expected_head else None


def key_file(settings: Settings) -> Path:
    """Where the key ring is."""
    return settings.store.key_ring or settings.home / "keys.json"


def signing_file(settings: Settings) -> Path:
    """Where the key is that checkpoints of the audit are signed with."""
    return settings.audit.signing_key or key_file(settings).parent / SIGNING_KEY


def signer(settings: Settings, store: Store) -> Signer:
    """The key that this service signs with; it is made when it is first needed, and from then on no other is taken.

    Raises:
        Precondition, Corrupt, Unavailable: see `signing_key`.
    """
    known = store.signer_on_record()
    found = signing_key(signing_file(settings), settings.audit.origin, known=known)
    if not known:
        store.record_signer(str(found.verifier))
    return found


def _signer_if_possible(settings: Settings, store: Store) -> Signer | None:
    """The key that receipts are signed with; None where there never was one and its folder takes none.

    Raises:
        Precondition, Corrupt: see `signing_key`.
    """
    try:
        return signer(settings, store)
    except Unavailable as error:
        logs.event(_logger, logging.WARNING, "no signing key: expungements have no receipt", error=error)
        return None


def snapshots_folder(settings: Settings) -> Path:
    """Where the snapshots of every index are, in a folder for each modality."""
    return settings.home / SNAPSHOTS
