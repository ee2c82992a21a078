"""Reading a store on this machine while a server has it open. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from likeness.app.composition import key_file, signing_file
from likeness.app.settings import Settings
from likeness.domain.errors import Precondition
from likeness.store.backend import reading
from likeness.store.choice import backend_of
from likeness.store.retired import adopt_retired
from likeness.store.schema import REVISIONS
from likeness.store.sealing import Seals
from likeness.store.signer_record import signer_on_record
from likeness.store.signing import signing_key
from likeness.store.vault import KeyRing
from likeness.transparency.note import Signer


def has_store(settings: Settings) -> bool:
    """Whether the home holds a store."""
    return backend_of(settings.home).exists()


def is_of_older_release(settings: Settings) -> bool:
    """Whether an older release wrote the store of the home, so that to open it for writing would change its tables.

    Raises:
        Precondition: a newer release wrote it.
        Corrupt: it does not say.
    """
    with read_only(settings) as connection:
        return backend_of(settings.home).revision(connection) != REVISIONS[-1]


@contextmanager
def read_only(settings: Settings) -> Iterator[sa.Connection]:
    """One consistent view of the database, whether or not a server has it open.

    Raises:
        Precondition: there is no database.
        Corrupt: it is damaged.
    """
    if not has_store(settings):
        raise Precondition(
            f"There is no store at {settings.home}; name its folder with --home or LIKENESS_HOME, or start a "
            "server."
        )
    backend = backend_of(settings.home)
    engine = backend.readers()
    try:
        with reading(backend, engine) as connection:
            yield connection
    finally:
        engine.dispose()


def signer(settings: Settings) -> Signer:
    """The key that the service of the home signs with; made where none was ever on record.

    Raises:
        Precondition, Corrupt, Unavailable: see `signing_key`.
    """
    known = ""
    if has_store(settings):
        with read_only(settings) as connection:
            known = signer_on_record(connection)
    return signing_key(signing_file(settings), settings.audit.origin, known=known)


def seals(settings: Settings) -> Seals:
    """What opens the store's sealed rows, those of retired keys too.

    Raises:
        WrongKey, Precondition, Corrupt: see `KeyRing.load` and `adopt_retired`.
    """
    opened = Seals(KeyRing.load(key_file(settings)))
    if has_store(settings):
        with read_only(settings) as connection:
            adopt_retired(connection, opened)
    return opened
