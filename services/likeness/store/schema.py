"""The tables, as SQLAlchemy Core sees them. `migrations/` makes them; a test holds the two together.

A reference's satellites (template, subject, source) are keyed by the log position of its enrolment, a number
that is never used twice, so that every insert appends and a fold of the log reads templates in order. What a
List filters by is indexed, and so held twice: a check of the database's structure compares the two.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text

REVISIONS = ("0001", "0002", "0003", "0004")
"""The alembic revisions that this release can bring to the last of them, which it reads and writes."""

metadata = MetaData()


class Blob(sa.LargeBinary):
    """Bytes as the driver takes and gives them.

    The stock type calls `bytes(value)` on every result, which for a damaged row that holds an integer would
    allocate that many zeros.
    """

    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Any:  # noqa: ARG002
        """No processing."""
        return None

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:  # noqa: ARG002
        """No processing."""
        return None


class Number(BigInteger):
    """A log position or a time in microseconds, of 64 bits."""


BY_KEY = "likeness_by_key"
"""In the `info` of a table: its rows are best held in the order of its key, which is nearly all of them."""

log = Table(
    "log",
    metadata,
    Column("position", Number, primary_key=True, autoincrement=False),
    Column("at", Number, nullable=False),  # microseconds since 1970-01-01 UTC
    Column("kind", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("reference_id", Text, nullable=False),
    Column("facets", Text),  # canonical JSON; NULL for an expunged reference
    Column("entity", Text, nullable=False),
    Column("request_id", Text, nullable=False),  # keyed; of entries of before, the id itself
    Column("request_digest", Blob, nullable=False),  # keyed; of entries of before, the digest itself
    Column("digest", Blob, nullable=False),  # seal over the previous digest and the columns above
    Index("log_by_request", "entity", "request_id", unique=True),
)

reference = Table(
    "reference",
    metadata,
    Column("key", Number, primary_key=True, autoincrement=False),  # log position of the enrolment
    Column("reference_id", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("facets", Text, nullable=False),  # canonical JSON, the whole of them
    Column("review_at", Number),
    Column("created_at", Number, nullable=False),
    Column("updated_at", Number, nullable=False),
    Column("position", Number, nullable=False),  # log position of the last change
    Column("template_space", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("quality", Blob),  # sealed; NULL once expunged
    Column("reason", Blob),  # sealed; why it was expunged
    Column("template_tag", Blob),  # AES-GCM tag of the satellite's blob: which version belongs to this row;
    Column("subject_tag", Blob),  # NULL where there is none
    Column("source_tag", Blob),
    Column("seal", Blob, nullable=False),  # over all columns above
    Index("reference_by_id", "reference_id", unique=True),
    Index("reference_by_owner", "owner"),
    Index("reference_by_category", "category"),
    Index("reference_by_status", "modality", "status"),
)

membership = Table(
    "membership",
    metadata,
    Column("gallery", Text, primary_key=True),
    Column("key", Number, primary_key=True, autoincrement=False),
    Index("membership_by_key", "key", "gallery"),
    info={BY_KEY: True},
)


def _satellite(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("key", Number, primary_key=True, autoincrement=False),
        Column("body", Blob, nullable=False),  # sealed
    )


template = _satellite("template")
subject = _satellite("subject")
source = _satellite("source")

audit = Table(
    "audit",
    metadata,
    Column("position", Number, primary_key=True, autoincrement=False),
    Column("at", Number, nullable=False),  # microseconds since 1970-01-01 UTC
    Column("body", Blob, nullable=False),  # sealed canonical JSON
    Column("digest", Blob, nullable=False),  # SHA-256 over the previous digest and the columns above
)

audit_tree = Table(
    "audit_tree",
    metadata,
    Column("position", Number, primary_key=True, autoincrement=False),  # of the audit entry
    Column("commitment", Blob, nullable=False),  # to what the entry says; 32 bytes
    Column(
        "hashes", Blob, nullable=False
    ),  # of the complete subtrees that the entry ends, the smallest first
)

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Blob, nullable=False),
    info={BY_KEY: True},
)

follower = Table(
    "follower",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", Number, nullable=False),  # log position up to which it has derived what it derives
    Column("seal", Blob, nullable=False),  # over the columns above
    info={BY_KEY: True},
)

quota = Table(
    "quota",
    metadata,
    Column(
        "ends", Number, primary_key=True, autoincrement=False
    ),  # of the window, seconds since 1970-01-01 UTC
    Column("key", Blob, primary_key=True),  # keyed digest of what is counted
    Column("used", Number, nullable=False),
    info={BY_KEY: True},
)

REFERENCE_COLUMNS = tuple(column.name for column in reference.columns)
SEALED_COLUMNS = REFERENCE_COLUMNS[:-1]
