"""Executions that do the work of a task."""

import sqlalchemy as sa
from alembic import op

import lazyengine.db.types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("execution", sa.Column("parent_task", lazyengine.db.types.Name(), nullable=True))
    op.add_column("execution", sa.Column("depth", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_execution_root_id", "execution", ["root_id"])
    op.create_index("ix_execution_parent_id_state", "execution", ["parent_id", "state"])
    op.drop_index("ix_execution_parent_id", "execution")
    op.add_column("mark", sa.Column("asleep", sa.Integer(), nullable=True))
    op.add_column("definition", sa.Column("is_kept", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("definition", "is_kept")
    op.drop_column("mark", "asleep")
    op.create_index("ix_execution_parent_id", "execution", ["parent_id"])
    op.drop_index("ix_execution_parent_id_state", "execution")
    op.drop_index("ix_execution_root_id", "execution")
    op.drop_column("execution", "depth")
    op.drop_column("execution", "parent_task")
