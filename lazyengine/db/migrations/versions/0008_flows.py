"""What a flow has to know of its way back."""

import sqlalchemy as sa
from alembic import op

from lazyengine.db.types import Json, Name

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("ignored", "reverted", "broken"):
        op.add_column("execution", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("execution", sa.Column("flow", Name(), nullable=True))
    op.add_column("mark", sa.Column("hold", sa.Integer(), nullable=True))
    op.add_column("mark", sa.Column("strategy", sa.String(16), nullable=True))
    for name in ("holds", "undone", "attempts"):
        op.add_column("mark", sa.Column(name, Json(), nullable=True))
