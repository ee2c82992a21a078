"""The ends and links of a chain of entries: the log's and the audit's, which differ in what an entry holds."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from likeness.domain.errors import Corrupt
from likeness.store import schema
from likeness.store.sealing import GENESIS


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the position of its last entry, 0 when empty, and that entry's digest."""

    position: int = 0
    digest: bytes = GENESIS


EMPTY = Head()


class Chain:
    """A table whose rows follow each other by position, each with a digest over the one before it."""

    def __init__(self, table: sa.Table, name: str) -> None:
        self._name = name
        self._last = sa.select(table.c.position, table.c.digest).order_by(table.c.position.desc()).limit(1)
        self._at = sa.select(table.c.digest).where(table.c.position == sa.bindparam("position"))

    def head(self, connection: sa.Connection) -> Head:
        """Where the chain ends.

        Raises:
            Corrupt: the last entry's digest is none.
        """
        row = connection.execute(self._last).first()
        if row is None:
            return EMPTY
        if not isinstance(row.digest, bytes):
            raise Corrupt(
                f"The digest of the last {self._name} entry is no digest; restore the database from a backup."
            )
        return Head(row.position, row.digest)

    def digest_at(self, connection: sa.Connection, position: int) -> bytes:
        """The digest of the entry at a position; `GENESIS` before the first.

        Raises:
            Corrupt: there is no such entry.
        """
        if position == 0:
            return GENESIS
        digest = connection.execute(self._at, {"position": position}).scalar()
        if not isinstance(digest, bytes):
            raise self.gap(position)
        return digest

    def gap(self, position: int) -> Corrupt:
        """The error for an entry that should be there."""
        return Corrupt(
            f"{self._name.capitalize()} entry {position} is missing; restore the database from a backup."
        )


LOG = Chain(schema.log, "log")
AUDIT = Chain(schema.audit, "audit")
