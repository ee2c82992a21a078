"""A store as a server has it: locked, and taking acts of operators for the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from likeness.domain.audit import AuditEntry
from likeness.store.act_socket import ActSocket
from likeness.store.store import Store


@contextmanager
def held(home: Path, key_file: Path | None = None) -> Iterator[Store]:
    """The open store of a home."""
    with (
        Store.open(home, key_file=key_file or home / "keys.json") as store,
        closing(ActSocket(home, store.audit)),
    ):
        yield store


def acts(home: Path, key_file: Path | None = None) -> list[AuditEntry]:
    """All entries of the audit of a home that nobody has open, oldest first."""
    with Store.open(home, key_file=key_file or home / "keys.json") as store:
        return [record.entry for record in store.audit_entries(limit=1000)]
