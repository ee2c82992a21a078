"""Looking at a store before it is opened for writing, and checking it from end to end.

Nothing here writes: a store that is refused is left exactly as it was found, its write-ahead log included.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from likeness.domain.errors import Corrupt
from likeness.store.audit import verify_links
from likeness.store.canonical import canonical_row
from likeness.store.chain import AUDIT, LOG
from likeness.store.database import scalar
from likeness.store.log import verify_chain
from likeness.store.schema import meta
from likeness.store.sealing import Seals
from likeness.store.witness import Heads, Witness

RECENT_ENTRIES = 1000
"""Log entries whose links are checked at open; the others are checked when they are read."""

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
_CHECK = "check:"
_CHECK_PLAINTEXT = b"likeness"


def check_keys(connection: sa.Connection, seals: Seals) -> frozenset[str]:
    """Whether every key that this store was ever written with is in the ring and is the right one.

    Returns the ids that are on record.

    Raises:
        WrongKey: a key is missing.
        Corrupt: a record of a key is damaged.
    """
    ids = set()
    for name, value in connection.execute(sa.select(meta)):
        if name == "schema":
            continue
        sound = isinstance(name, str) and name.startswith(_CHECK) and isinstance(value, bytes)
        if not sound or seals.check.unseal(value, aad=name.encode()) != _CHECK_PLAINTEXT:
            raise Corrupt("The record of the keys in use is damaged; restore the database from a backup.")
        ids.add(name.removeprefix(_CHECK))
    if not ids:
        raise Corrupt("The database does not say its keys; restore it from a backup.")
    return frozenset(ids)


def record_key(connection: sa.Connection, seals: Seals, key_id: str) -> None:
    """Put a key that is about to be used on record."""
    name = f"{_CHECK}{key_id}"
    value = seals.check.seal(_CHECK_PLAINTEXT, aad=name.encode())
    connection.execute(meta.insert(), {"name": name, "value": value})


def record_schema(connection: sa.Connection, seals: Seals) -> None:
    """Seal the definitions of the tables as they are now."""
    connection.execute(meta.delete().where(meta.c.name == "schema"))
    connection.execute(meta.insert(), {"name": "schema", "value": seals.rows.sign(_schema_bytes(connection))})


def check_schema(connection: sa.Connection, seals: Seals) -> None:
    """Whether the definitions of the tables are those that were sealed.

    Raises:
        Corrupt: they are not.
    """
    seal = connection.execute(sa.select(meta.c.value).where(meta.c.name == "schema")).scalar()
    if not isinstance(seal, bytes) or not seals.rows.matches(_schema_bytes(connection), seal):
        raise Corrupt(
            "The definitions of the tables are not those that were sealed; restore the database from a backup, and "
            "let no other program change it."
        )


def stored_heads(connection: sa.Connection) -> Heads:
    """The ends of both chains as the database has them."""
    return Heads(LOG.head(connection), AUDIT.head(connection))


def check_nothing_lost(witness: Witness) -> None:
    """Whether an empty database is all there ever was.

    Raises:
        Corrupt: something was acknowledged.
    """
    witnessed = witness.read() or Heads()
    if witnessed != Heads():
        raise _behind(Heads(), witnessed, witness)


def check_heads(connection: sa.Connection, witness: Witness) -> None:
    """Whether the database reaches as far as the store has acknowledged.

    Raises:
        Corrupt: it falls short, or holds another history.
    """
    witnessed = witness.read()
    if witnessed is None:
        return
    stored = stored_heads(connection)
    if (
        stored.log.position < witnessed.log.position
        or stored.audit.position < witnessed.audit.position
        or LOG.digest_at(connection, witnessed.log.position) != witnessed.log.digest
        or AUDIT.digest_at(connection, witnessed.audit.position) != witnessed.audit.digest
    ):
        raise _behind(stored, witnessed, witness)


def check_ends(connection: sa.Connection, seals: Seals) -> None:
    """The last links of both chains, from which every new entry will go on.

    Raises:
        Corrupt: one is broken.
    """
    log, audit = LOG.head(connection), AUDIT.head(connection)
    verify_chain(connection, seals, max(0, log.position - RECENT_ENTRIES), log.position)
    report = verify_links(connection, max(1, audit.position), audit.position)
    if report.problems:
        raise Corrupt(report.problems[0])


def _behind(stored: Heads, witnessed: Heads, witness: Witness) -> Corrupt:
    return Corrupt(
        f"Changes were acknowledged up to log position {witnessed.log.position} and audit entry "
        f"{witnessed.audit.position}; the database ends at {stored.log.position} and {stored.audit.position}, or "
        "holds another history: its write-ahead log is damaged, or it is an older copy. Restore the newest backup "
        f"of the database; if this is it, remove {witness.path} to accept what it holds."
    )


def check_structure(connection: sa.Connection, tables: Sequence[str] = ()) -> None:
    """SQLite's own check of its pages, and of each index against its table: of some tables, or of everything.

    Raises:
        Corrupt: it finds something wrong.
    """
    for pragma in [f"integrity_check({name})" for name in tables] or ["integrity_check(1)"]:
        found = scalar(connection, f"PRAGMA {pragma}")
        if found != "ok":
            raise Corrupt(f"The database is damaged ({found}); restore it from a backup.")


def size_of(path: Path) -> int:
    """Bytes in a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _schema_bytes(connection: sa.Connection) -> bytes:
    return b"schema" + canonical_row([list(row) for row in connection.exec_driver_sql(_SCHEMA)])
