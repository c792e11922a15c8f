"""Questions about flows, and their gates."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mark", sa.Column("asks", sa.Integer()))
    op.add_column("node", sa.Column("is_gate", sa.Integer()))
