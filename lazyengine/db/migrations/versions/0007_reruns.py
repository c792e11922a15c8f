"""What a rerun has to know of a run, and what it gives it."""

import sqlalchemy as sa
from alembic import op

from lazyengine.db.types import Json

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mark", sa.Column("last", sa.Integer(), nullable=True))
    op.add_column("mark", sa.Column("given", Json(), nullable=True))
