"""Leases are found when they run out; what has ended is leased no more."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE mark SET lease_expires_at = NULL WHERE state NOT IN ('RUNNING', 'REVERTING', 'DECIDING', 'ASKING')"
    )
    is_set = sa.text("lease_expires_at IS NOT NULL")
    op.create_index(
        "ix_mark_lease_expires_at", "mark", ["lease_expires_at"], postgresql_where=is_set, sqlite_where=is_set
    )
