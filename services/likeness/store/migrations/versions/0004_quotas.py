"""What was used of quotas."""

import sqlalchemy as sa
from alembic import op

from likeness.store.schema import BY_KEY, Number

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table of counts; nothing was used yet."""
    op.create_table(
        "quota",
        sa.Column("ends", Number, primary_key=True, autoincrement=False),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("used", Number, nullable=False),
        info={BY_KEY: True},
    )
