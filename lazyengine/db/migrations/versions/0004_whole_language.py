"""The rest of the language: items, policies, loops, sub-workflows."""

from typing import Any

import sqlalchemy as sa
from alembic import op

import lazyengine.db.types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = sa.Uuid(as_uuid=False)
Time = lazyengine.db.types.UtcDateTime
PARENT = ("node", "iteration", "item", "attempt")
Json = lazyengine.db.types.Json


def upgrade() -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("asleep", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("parent_id", Id, nullable=True),
        *(
            sa.Column("parent_" + name, sa.Integer(), nullable=True)
            for name in ("node", "iteration", "item", "attempt")
        ),
        sa.Column("root_id", Id, nullable=True),
        sa.Column("namespace", lazyengine.db.types.Name(), nullable=True),
    ]
    for column in columns:
        op.add_column("execution", column)
    op.create_index("ix_execution_parent_id", "execution", ["parent_id"])
    op.add_column("history", sa.Column("item", sa.Integer(), nullable=True))
    with op.batch_alter_table("mark") as mark:
        mark.add_column(sa.Column("item", sa.Integer(), nullable=False, server_default="-1"))
        mark.add_column(sa.Column("retries", sa.Integer(), nullable=False, server_default="0"))
        mark.add_column(sa.Column("ending", sa.String(length=16), nullable=True))
        mark.add_column(sa.Column("unhandled", sa.Integer(), nullable=True))
        for name in ("item_counts", "fed", "loop"):
            mark.add_column(sa.Column(name, Json(), nullable=True))
        for name in ("due_at", "deadline_at", "alarm_at"):
            mark.add_column(sa.Column(name, Time(), nullable=True))
        mark.add_column(sa.Column("child_id", Id, nullable=True))
        mark.drop_constraint("pk_mark", type_="primary")
        mark.create_primary_key("pk_mark", ["execution_id", "node_id", "iteration", "item"])
    is_set = sa.text("alarm_at IS NOT NULL")
    op.create_index("ix_mark_alarm_at", "mark", ["alarm_at"], postgresql_where=is_set, sqlite_where=is_set)
