"""Data flow: contexts of runs, what they publish, and the values that contexts refer to."""

import sqlalchemy as sa
from alembic import op

import lazyengine.db.types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stored_value",
        sa.Column("execution_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("body", lazyengine.db.types.Json(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "digest", name=op.f("pk_stored_value")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.add_column("execution", sa.Column("has_data", sa.Integer(), nullable=True))
    op.add_column("execution", sa.Column("variables", lazyengine.db.types.Json(), nullable=True))
    op.add_column("execution", sa.Column("final_context", lazyengine.db.types.Json(), nullable=True))
    for name in ("context", "input", "published"):
        op.add_column("mark", sa.Column(name, lazyengine.db.types.Json(), nullable=True))
