"""Looking at a store before it is opened for writing, and checking it from end to end.

Nothing here writes: a store that is refused is left exactly as it was found, its write-ahead log included.
"""

from __future__ import annotations

import sqlalchemy as sa

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Corrupt
from likeness.store.audit import verify_links
from likeness.store.backend import Backend
from likeness.store.canonical import canonical_row
from likeness.store.chain import AUDIT, LOG
from likeness.store.log import verify_chain
from likeness.store.retired import adopt, is_retired
from likeness.store.schema import meta
from likeness.store.sealing import Seals
from likeness.store.signer_record import SIGNER
from likeness.store.tree import check_size, check_tree, has_tree, tree_size
from likeness.store.witness import Heads, Witness

RECENT_ENTRIES = 1000
"""Log entries whose links are checked at open; the others are checked when they are read."""

_CHECK = "check:"
_CHECK_PLAINTEXT = b"likeness"


def check_keys(connection: sa.Connection, seals: Seals) -> frozenset[str]:
    """Whether every key that something is sealed with is in the ring and is the right one.

    Returns the ids that are on record. What is left of retired keys is given to the seals.

    Raises:
        WrongKey: a key is missing.
        Corrupt: a record of a key is damaged.
    """
    ids = set()
    for name, value in connection.execute(sa.select(meta)):
        if name in ("schema", SIGNER):
            continue
        if is_retired(name):
            adopt(name, value, seals)
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


def keys_on_record(connection: sa.Connection) -> frozenset[str]:
    """The keys that something is sealed with, whether or not they are in the ring."""
    names = connection.execute(sa.select(meta.c.name)).scalars()
    return frozenset(name.removeprefix(_CHECK) for name in names if str(name).startswith(_CHECK))


def forget_key(connection: sa.Connection, key_id: str) -> None:
    """Take a key off the record: nothing is sealed with it any more."""
    connection.execute(meta.delete().where(meta.c.name == f"{_CHECK}{key_id}"))


def record_schema(backend: Backend, connection: sa.Connection, seals: Seals) -> None:
    """Seal the definitions of the tables as they are now."""
    connection.execute(meta.delete().where(meta.c.name == "schema"))
    connection.execute(
        meta.insert(), {"name": "schema", "value": seals.rows.sign(_schema_bytes(backend, connection))}
    )


def check_schema(backend: Backend, connection: sa.Connection, seals: Seals) -> None:
    """Whether the definitions of the tables are those that were sealed.

    Raises:
        Corrupt: they are not.
    """
    seal = connection.execute(sa.select(meta.c.value).where(meta.c.name == "schema")).scalar()
    if not isinstance(seal, bytes) or not seals.rows.matches(_schema_bytes(backend, connection), seal):
        raise Corrupt(
            "The definitions of the tables are not those that were sealed; restore the database from a backup, and "
            "let no other program change it."
        )


def stored_heads(connection: sa.Connection) -> Heads:
    """The ends of both chains as the database has them."""
    return Heads(LOG.head(connection), AUDIT.head(connection))


def check_nothing_lost(witness: Witness, expected: AuditMark | None = None) -> None:
    """Whether an empty database is all there ever was.

    Raises:
        Corrupt: something was acknowledged, or is expected.
    """
    witnessed = witness.read() or Heads()
    if witnessed != Heads():
        raise _behind(Heads(), witnessed, witness)
    if expected is not None and expected.position:
        raise Corrupt(
            f"Audit entry {expected} is expected, and the database is empty; restore it from a backup, or check "
            "that this is the right folder.",
            reason="AUDIT_HEAD_MISSING",
        )


def check_heads(connection: sa.Connection, witness: Witness, expected: AuditMark | None = None) -> None:
    """Whether the database reaches as far as the store has acknowledged.

    Without its witness a database that holds anything could be any older copy. It is believed where its audit
    chain ends with the very entry that is expected.

    Raises:
        Corrupt: it falls short, or holds another history, or the witness is missing.
    """
    witnessed = witness.read()
    stored = stored_heads(connection)
    if witnessed is None:
        if stored != Heads() and AuditMark(stored.audit.position, stored.audit.digest) != expected:
            raise _without_witness(stored, witness)
        return
    if (
        stored.log.position < witnessed.log.position
        or stored.audit.position < witnessed.audit.position
        or LOG.digest_at(connection, witnessed.log.position) != witnessed.log.digest
        or AUDIT.digest_at(connection, witnessed.audit.position) != witnessed.audit.digest
    ):
        raise _behind(stored, witnessed, witness)


def check_expected(connection: sa.Connection, expected: AuditMark) -> None:
    """Whether an entry that was noted down earlier still stands in the audit chain.

    Raises:
        Corrupt: it does not.
    """
    end = AUDIT.head(connection).position
    if expected.position <= end and AUDIT.digest_at(connection, expected.position) == expected.digest:
        return
    found = "ends before it" if expected.position > end else "has another entry in its place"
    raise Corrupt(
        f"Audit entry {expected} is not in this chain, which has {end} entries and {found}: the database "
        "is an older copy, or was changed. Restore the newest backup; if this is it, restored on purpose, note "
        "the end of its chain, which `likeness audit verify` prints, and give that as audit.expected_head.",
        reason="AUDIT_HEAD_MISSING",
    )


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


def check_tree_end(connection: sa.Connection) -> None:
    """The end of the audit's tree, from which it will grow; nothing of a store that has none yet.

    Raises:
        Corrupt: it is not what the chain makes of it, or is longer than the chain.
    """
    if not has_tree(connection):
        return
    size, end = tree_size(connection), AUDIT.head(connection).position
    if size > end:
        check_size(connection, end)
    check_tree(connection, max(0, size - 1), size)


def _behind(stored: Heads, witnessed: Heads, witness: Witness) -> Corrupt:
    return Corrupt(
        f"Changes were acknowledged up to log position {witnessed.log.position} and audit entry "
        f"{witnessed.audit.position}; the database ends at {stored.log.position} and {stored.audit.position}, or "
        "holds another history: its write-ahead log is damaged, or it is an older copy. Restore the newest backup "
        f"of the database. {_accepting(f'remove {witness.path}, and start')}",
        reason="DATABASE_BEHIND",
    )


def _without_witness(stored: Heads, witness: Witness) -> Corrupt:
    return Corrupt(
        f"{witness.path} is missing next to a database of {stored.log.position} log entries and "
        f"{stored.audit.position} audit entries: it was lost, or removed together with the newest of them. Restore "
        f"the newest backup of the whole folder. {_accepting('start')}",
        reason="WITNESS_MISSING",
    )


def _accepting(start: str) -> str:
    """What to do where a backup was restored on purpose; `start` is how it is started then."""
    return (
        f"If this is it, restored on purpose, accept what it holds: {start} once with the setting "
        "audit.expected_head as `likeness audit verify` prints it."
    )


def _schema_bytes(backend: Backend, connection: sa.Connection) -> bytes:
    return b"schema" + canonical_row(backend.definitions(connection))
