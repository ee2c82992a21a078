"""Reference rows as they are read: never without checking their seal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from likeness.domain.errors import Corrupt
from likeness.store.schema import REFERENCE_COLUMNS, reference
from likeness.store.sealing import Seals, tag

ID_CHUNK = 400
"""Ids, or pairs of them, per IN list; of the databases, some allow no more than 999 parameters."""

Row = dict[str, Any]

_BY_ID = sa.select(reference).where(reference.c.reference_id.in_(sa.bindparam("ids", expanding=True)))


def fetch_rows(connection: sa.Connection, reference_ids: Iterable[str]) -> dict[str, sa.Row[Any]]:
    """The rows of those references that exist, by id, not yet checked."""
    rows: dict[str, sa.Row[Any]] = {}
    for ids in chunks(reference_ids):
        rows.update((row.reference_id, row) for row in connection.execute(_BY_ID, {"ids": ids}))
    return rows


def load_rows(connection: sa.Connection, seals: Seals, reference_ids: Iterable[str]) -> dict[str, Row]:
    """The rows of those references that exist, by id.

    Raises:
        Corrupt: a row does not match its seal.
    """
    return {name: checked(row, seals) for name, row in fetch_rows(connection, reference_ids).items()}


def checked(row: Sequence[Any], seals: Seals) -> Row:
    """A row by column name, its seal checked.

    Raises:
        Corrupt: it does not match its seal.
    """
    seals.check_row(row)
    return dict(zip(REFERENCE_COLUMNS, row, strict=True))


def check_body(row: Row, satellite: str, body: object) -> None:
    """Whether a satellite's body is the version that its row names, and missing where the row names none.

    Raises:
        Corrupt: it is not.
    """
    expected = row[f"{satellite}_tag"]
    if expected is None and body is None:
        return
    if not isinstance(body, bytes) or tag(body) != expected:
        raise Corrupt(
            f"The {satellite} of reference {row['reference_id']} is not the one that its row names; restore the "
            "database from a backup."
        )


def chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    """The distinct items in lists that fit an IN clause."""
    distinct = list(dict.fromkeys(items))
    for start in range(0, len(distinct), ID_CHUNK):
        yield distinct[start : start + ID_CHUNK]
