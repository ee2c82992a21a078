"""Keys that seal no reference any more, and what is left of them.

The log's links and the audit's entries stay as they were written: their digests are what a copy elsewhere is
compared with. They need the subkeys that they were made with for as long as they stand. So when a key is retired,
the subkeys of those uses are put on record, sealed under the active key, and the key itself may leave the ring. A
subkey does not lead back to its key (HKDF): templates, subjects and sources in an old copy of the database stay
closed.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from likeness.domain.errors import Corrupt
from likeness.store.schema import meta
from likeness.store.sealing import Seals
from likeness.store.vault import KEY_BYTES, KeyRing, KeyUse

USES = (KeyUse.LOG, KeyUse.AUDIT, KeyUse.PROBES)
"""The uses whose subkeys are stored, in the order in which they are written."""

_PREFIX = "retired:"


def is_retired(name: object) -> bool:
    """Whether an entry of the table `meta` holds the subkeys of a retired key."""
    return isinstance(name, str) and name.startswith(_PREFIX)


def retired_ids(connection: sa.Connection) -> frozenset[str]:
    """The keys of which only subkeys are left."""
    names = connection.execute(sa.select(meta.c.name)).scalars()
    return frozenset(name.removeprefix(_PREFIX) for name in names if is_retired(name))


def adopt_retired(connection: sa.Connection, seals: Seals) -> None:
    """Let the store's seals open what retired keys made.

    Raises:
        WrongKey: the subkeys are sealed under a key that is not in the ring.
        Corrupt: they are damaged.
    """
    for name, value in connection.execute(sa.select(meta)).all():
        if is_retired(name):
            adopt(name, value, seals)


def adopt(name: str, value: Any, seals: Seals) -> None:
    """Let the store's seals open what one retired key made; see `adopt_retired`."""
    subkeys = seals.check.unseal(value, aad=name.encode()) if isinstance(value, bytes) else b""
    if len(subkeys) != len(USES) * KEY_BYTES:
        raise Corrupt("The record of a retired key is damaged; restore the database from a backup.")
    for number, use in enumerate(USES):
        start = number * KEY_BYTES
        seals.ring.adopt(name.removeprefix(_PREFIX), use, subkeys[start : start + KEY_BYTES])


def record_retired(connection: sa.Connection, ring: KeyRing, key_id: str) -> None:
    """Put the subkeys of a key on record."""
    name = f"{_PREFIX}{key_id}"
    subkeys = b"".join(ring.subkey(key_id, use) for use in USES)
    value = ring.vault(KeyUse.CHECK).seal(subkeys, aad=name.encode())
    connection.execute(meta.delete().where(meta.c.name == name))
    connection.execute(meta.insert(), {"name": name, "value": value})
