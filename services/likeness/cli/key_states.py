"""What becomes of the keys of a ring: which is current, which still seal something, which may go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from likeness.app.composition import key_file, snapshots_folder
from likeness.app.settings import Settings
from likeness.cli.local_store import has_store, read_only
from likeness.engine.resealing import snapshot_keys
from likeness.store.choice import backend_of
from likeness.store.inspection import check_keys, keys_on_record
from likeness.store.reseal import KeyLoad, key_loads
from likeness.store.retired import retired_ids
from likeness.store.sealing import Seals
from likeness.store.vault import KeyRing, KeyUse


class KeyState(StrEnum):
    """What a key is for."""

    CURRENT = "current"
    UNUSED = "current, not in use yet"
    """Made by a rotation after which no server has started."""
    IN_USE = "old, still in use"
    IDLE = "old, seals nothing more"
    REMOVED = "removed"
    """Out of the ring; the store keeps what reads the log and audit entries of its time."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the ring, or one that was removed; what it seals is 0 where that was not counted."""

    key_id: str
    state: KeyState
    created: datetime | None = None
    load: KeyLoad = field(default_factory=KeyLoad)
    snapshots: int = 0


def key_states(
    settings: Settings, *, count: bool = False, step: Callable[[int], None] = lambda _: None
) -> list[Key]:
    """The keys of the ring and the removed ones, the newest first as far as that is known.

    Args:
        settings: where ring and store are.
        count: look at every reference, rather than at the record of the keys in use.
        step: called with the number of references just looked at.

    Raises:
        WrongKey, Precondition, Corrupt: the ring is not this store's, or cannot be read.
    """
    ring = KeyRing.load(key_file(settings))
    loads: dict[str, KeyLoad] = {}
    on_record: frozenset[str] = frozenset()
    retired: frozenset[str] = frozenset()
    if has_store(settings):
        with read_only(settings) as connection:
            check_keys(connection, Seals(ring))
            on_record, retired = keys_on_record(connection), retired_ids(connection)
        if count:
            loads = key_loads(backend_of(settings.home), lambda: read_only(settings), step)
    snapshots = snapshot_keys(snapshots_folder(settings), ring.vault(KeyUse.SNAPSHOTS))
    keys = [
        Key(
            key_id,
            _state(key_id, ring, on_record, loads, snapshots),
            ring.created.get(key_id),
            loads.get(key_id, KeyLoad()),
            snapshots[key_id],
        )
        for key_id in ring.ids | retired
    ]
    return sorted(keys, key=lambda key: (list(KeyState).index(key.state), key.key_id))


def _state(
    key_id: str, ring: KeyRing, on_record: frozenset[str], loads: dict[str, KeyLoad], snapshots: Counter[str]
) -> KeyState:
    if key_id not in ring.ids:
        return KeyState.REMOVED
    if key_id == ring.active:
        return KeyState.CURRENT if key_id in on_record else KeyState.UNUSED
    used = key_id in on_record or key_id in loads or snapshots[key_id]
    return KeyState.IN_USE if used else KeyState.IDLE
