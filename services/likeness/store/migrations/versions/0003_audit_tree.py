"""The Merkle tree over the audit."""

import sqlalchemy as sa
from alembic import op

from likeness.store.schema import Number

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table of the tree; what opens the store plants it, for which keys are needed."""
    op.create_table(
        "audit_tree",
        sa.Column("position", Number, primary_key=True, autoincrement=False),
        sa.Column("commitment", sa.LargeBinary, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
