"""What a store asks of the database that keeps it, whatever database that is.

All that is common to databases is written in SQLAlchemy's terms by the other modules of this package, which take a
connection. What differs stands behind `Backend`. A backend of its own package implements it, and
`likeness.store.choice` chooses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from likeness.domain.errors import LikenessError, Unavailable
from likeness.domain.storage import Space


class NoSpace(Unavailable):
    """Nothing could be written: for want of space, or what looks like it."""

    reason = "STORAGE_UNAVAILABLE"


class Lock(Protocol):
    """Held while a store is open, by no more than one process."""

    def release(self) -> None:
        """Let others have it."""


class Reserve(Protocol):
    """Space that is held for audit and erasure. Safe to use from several threads."""

    @property
    def is_spent(self) -> bool:
        """Whether the space that should be held is not: nothing is to be enrolled."""

    @property
    def room(self) -> int:
        """Bytes that must be free before the space is held again."""

    def refusal(self) -> LikenessError:
        """The refusal of an enrolment while the reserve is spent."""

    def release(self) -> bool:
        """Give the space to what must go on; whether there was any to give."""

    def make_way(self) -> None:
        """Release the space if there is so little that not even a database could be opened."""

    def hold(self) -> bool:
        """Hold the space, if it is not held and there is room for it; whether it is held now or none is wanted."""


class Backend(Protocol):
    """The database of one store: where it is, how it is opened, and how it is spoken to.

    To make one touches nothing. The methods that take a connection take one of its own engines.
    """

    @property
    def home(self) -> Path:
        """The folder of the store: of its witness, its snapshots, and of what else lies in files."""

    @property
    def place(self) -> str:
        """Where the database is, for messages."""

    def exists(self) -> bool:
        """Whether there is a database, be it empty."""

    def is_empty(self) -> bool:
        """Whether nothing was ever stored, as far as that shows without opening it."""

    def files(self) -> Sequence[Path]:
        """The files that it may have, whether or not they are there."""

    def remains(self) -> Sequence[Path]:
        """Those of its files that show, where they hold anything, that there was a database."""

    def make(self) -> None:
        """Make an empty database, for its owner only, where there is none."""

    def lock(self) -> Lock:
        """Take the store for this process.

        Raises:
            Precondition: another process has it.
            Unavailable: it cannot be taken.
        """

    def holder(self) -> str | None:
        """The process that has the store, or `unknown`; None if none has.

        Raises:
            OSError: it cannot be found out.
        """

    def reserve(self, size: int) -> Reserve:
        """Space of so many bytes; 0 holds none."""

    def sizes(self) -> dict[str, int]:
        """Bytes of what is stored, by kind; every kind is there.

        Raises:
            OSError: they cannot be read.
        """

    def space(self) -> Space:
        """The space that it is stored in.

        Raises:
            OSError: it cannot be read.
        """

    def writer(self) -> sa.Engine:
        """An engine of one connection, which writes; what it commits is durable."""

    def readers(self, *, checking: bool = False) -> sa.Engine:
        """An engine of connections that cannot write; `checking` gives them memory for `check_structure`."""

    def guarded(self) -> AbstractContextManager[None]:
        """Turn the errors of the driver into those of the domain."""

    def transaction(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """A transaction without what SQLAlchemy does around it, which takes several times as long as a statement.

        After a failure it may still be open; see `rolled_back`.
        """

    def rolled_back(self, connection: sa.Connection) -> bool:
        """End what the driver has begun, whatever SQLAlchemy knows of it; whether that was possible."""

    def snapshot(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """One state of the database for several reading statements."""

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, by the shortest way that the driver has. Call it under `guarded`."""

    def upsert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, and replace those of the same key, by the shortest way that the driver has, under `guarded`."""

    def first(
        self, connection: sa.Connection, query: sa.Select[Any], parameters: Mapping[str, Any]
    ) -> Sequence[Any] | None:
        """The first row of a query, by the shortest way that the driver has. Call it under `guarded`.

        The query is one that is made once: what it is compiled to is cached for ever.
        """

    def rows(
        self, connection: sa.Connection, query: sa.Select[Any], parameters: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """All rows of a query, as `first`."""

    def first_bytes(self, connection: sa.Connection, column: sa.Column[Any], key: int, count: int) -> bytes:
        """How the bytes in a column begin, in the row of a `key`, without the others being read."""

    def revision(self, connection: sa.Connection) -> str | None:
        """The revision of the tables, or None for a database without any.

        Raises:
            Precondition: the database is another program's, or a newer release's.
            Corrupt: the revision cannot be read.
        """

    def upgrade(self, connection: sa.Connection) -> None:
        """Run the migrations that are missing, in the connection's transaction: all of them or none."""

    def definitions(self, connection: sa.Connection) -> list[list[Any]]:
        """The definitions of everything in the database, in an order that depends on them alone."""

    def check_structure(self, connection: sa.Connection, *, quick: bool = False) -> None:
        """The database's own check of what it stores; a quick one takes some seconds, whatever the size.

        Raises:
            Corrupt: it finds something wrong.
        """

    def copy_to(self, home: Path, step: Callable[[int, int], None]) -> None:
        """Make a database in another folder, of what this one holds at one instant, while others write to it.

        `step` is called with how much is copied and how much there is, in a unit of the database's own.
        """

    def erase(self, connection: sa.Connection) -> bool:
        """Have what was deleted leave the files; whether that is done, or must be tried again."""


@contextmanager
def reading(backend: Backend, engine: sa.Engine) -> Iterator[sa.Connection]:
    """A reading connection, its errors translated; each statement sees one state of the database."""
    with backend.guarded(), engine.connect() as connection:
        yield connection


class unindexed(FunctionElement[str]):  # noqa: N801  written as SQL's functions are
    """A column in a form for which no index is taken, where the database would take a worse one."""

    type = sa.Text()
    inherit_cache = True


@compiles(unindexed)
def _as_it_is(element: unindexed, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))
