"""The first tables."""

import sqlalchemy as sa
from alembic import op

from likeness.store.schema import BY_KEY, Number

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of an empty store."""
    op.create_table(
        "log",
        sa.Column("position", Number, primary_key=True, autoincrement=False),
        sa.Column("at", Number, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("reference_id", sa.Text, nullable=False),
        sa.Column("facets", sa.Text),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_index("log_by_request", "log", ["entity", "request_id"], unique=True)
    op.create_table(
        "reference",
        sa.Column("key", Number, primary_key=True, autoincrement=False),
        sa.Column("reference_id", sa.Text, nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("facets", sa.Text, nullable=False),
        sa.Column("review_at", Number),
        sa.Column("created_at", Number, nullable=False),
        sa.Column("updated_at", Number, nullable=False),
        sa.Column("position", Number, nullable=False),
        sa.Column("template_space", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("quality", sa.LargeBinary),
        sa.Column("reason", sa.LargeBinary),
        sa.Column("template_tag", sa.LargeBinary),
        sa.Column("subject_tag", sa.LargeBinary),
        sa.Column("source_tag", sa.LargeBinary),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_index("reference_by_id", "reference", ["reference_id"], unique=True)
    op.create_index("reference_by_owner", "reference", ["owner"])
    op.create_index("reference_by_category", "reference", ["category"])
    op.create_index("reference_by_status", "reference", ["modality", "status"])
    op.create_table(
        "membership",
        sa.Column("gallery", sa.Text, primary_key=True),
        sa.Column("key", Number, primary_key=True, autoincrement=False),
        info={BY_KEY: True},
    )
    op.create_index("membership_by_key", "membership", ["key", "gallery"])
    for satellite in ("template", "subject", "source"):
        op.create_table(
            satellite,
            sa.Column("key", Number, primary_key=True, autoincrement=False),
            sa.Column("body", sa.LargeBinary, nullable=False),
        )
    op.create_table(
        "audit",
        sa.Column("position", Number, primary_key=True, autoincrement=False),
        sa.Column("at", Number, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        info={BY_KEY: True},
    )
