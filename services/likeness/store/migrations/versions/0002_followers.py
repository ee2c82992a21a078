"""How far each named follower of the log has come."""

import sqlalchemy as sa
from alembic import op

from likeness.store.schema import BY_KEY, Number

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table of followers; nobody follows yet."""
    op.create_table(
        "follower",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", Number, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
        info={BY_KEY: True},
    )
