"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

import lazyengine.db.types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CLAIM_KEY = sa.text("claim_key IS NOT NULL")
PLACE = sa.text("place IS NOT NULL")
LATE = sa.text("kind = 'late_result'")
OFFERED_AT = sa.text("offered_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "graph",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("head", lazyengine.db.types.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_graph")),
        sa.UniqueConstraint("digest", name=op.f("uq_graph_digest")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "history",
        sa.Column("execution_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("at", lazyengine.db.types.UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=True),
        sa.Column("iteration", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("info", lazyengine.db.types.Json(), nullable=True),
        sa.Column("late", lazyengine.db.types.Json(), nullable=True),
        sa.PrimaryKeyConstraint("execution_id", "number", name=op.f("pk_history")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("history", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_history_execution_id_kind"),
            ["execution_id", "kind"],
            unique=False,
            postgresql_where=LATE,
            sqlite_where=LATE,
        )

    op.create_table(
        "mark",
        sa.Column("execution_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("node_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("iteration", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("info", lazyengine.db.types.Json(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("live", sa.Integer(), nullable=False),
        sa.Column("dead", sa.Integer(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("chosen", lazyengine.db.types.Json(), nullable=True),
        sa.Column("intent", sa.String(length=16), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("action", lazyengine.db.types.Name(length=255), nullable=True),
        sa.Column("target", lazyengine.db.types.Name(length=255), nullable=False),
        sa.Column("created_at", lazyengine.db.types.UtcDateTime(), nullable=False),
        sa.Column("started_at", lazyengine.db.types.UtcDateTime(), nullable=True),
        sa.Column("finished_at", lazyengine.db.types.UtcDateTime(), nullable=True),
        sa.Column("finished_event", sa.Integer(), nullable=True),
        sa.Column("outcome_digest", sa.String(length=64), nullable=True),
        sa.Column("result", lazyengine.db.types.Json(), nullable=True),
        sa.Column("failure", lazyengine.db.types.Json(), nullable=True),
        sa.Column("offered_at", lazyengine.db.types.UtcDateTime(), nullable=True),
        sa.Column("claimed_by", lazyengine.db.types.Name(length=255), nullable=True),
        sa.Column("claim_key", lazyengine.db.types.Name(length=255), nullable=True),
        sa.Column("lease_expires_at", lazyengine.db.types.UtcDateTime(), nullable=True),
        sa.Column("progress", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("execution_id", "node_id", "iteration", name=op.f("pk_mark")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("mark", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_mark_claim_key"),
            ["claim_key"],
            unique=False,
            postgresql_where=CLAIM_KEY,
            sqlite_where=CLAIM_KEY,
        )
        batch_op.create_index(
            batch_op.f("ix_mark_execution_id_place"),
            ["execution_id", "place"],
            unique=False,
            postgresql_where=PLACE,
            sqlite_where=PLACE,
        )
        batch_op.create_index(
            batch_op.f("ix_mark_target_offered_at"),
            ["target", "offered_at"],
            unique=False,
            postgresql_where=OFFERED_AT,
            sqlite_where=OFFERED_AT,
        )

    op.create_table(
        "execution",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("owner", lazyengine.db.types.Name(length=255), nullable=False),
        sa.Column("graph_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("workflow", lazyengine.db.types.Name(length=255), nullable=False),
        sa.Column("definition_digest", sa.String(length=64), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("info", lazyengine.db.types.Json(), nullable=True),
        sa.Column("cause", lazyengine.db.types.Json(), nullable=True),
        sa.Column("live", sa.Integer(), nullable=False),
        sa.Column("backlog", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("unhandled", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("input", lazyengine.db.types.Json(), nullable=False),
        sa.Column("params", lazyengine.db.types.Json(), nullable=False),
        sa.Column("output", lazyengine.db.types.Json(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("tags", lazyengine.db.types.Json(), nullable=False),
        sa.Column("traceparent", sa.String(length=55), nullable=True),
        sa.Column("created_at", lazyengine.db.types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", lazyengine.db.types.UtcDateTime(), nullable=False),
        sa.Column("finished_at", lazyengine.db.types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["graph_id"], ["graph.id"], name=op.f("fk_execution_graph_id_graph")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_execution")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("execution", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_execution_owner_created_at_id"), ["owner", "created_at", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_execution_owner_state_created_at_id"), ["owner", "state", "created_at", "id"], unique=False
        )

    op.create_table(
        "node",
        sa.Column("graph_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", lazyengine.db.types.Name(length=255), nullable=False),
        sa.Column("body", lazyengine.db.types.Json(), nullable=False),
        sa.ForeignKeyConstraint(["graph_id"], ["graph.id"], name=op.f("fk_node_graph_id_graph")),
        sa.PrimaryKeyConstraint("graph_id", "id", name=op.f("pk_node")),
        sa.UniqueConstraint("graph_id", "name", name=op.f("uq_node_graph_id_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "execution_tag",
        sa.Column("execution_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("tag", lazyengine.db.types.Name(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["execution.id"], name=op.f("fk_execution_tag_execution_id_execution")
        ),
        sa.PrimaryKeyConstraint("execution_id", "tag", name=op.f("pk_execution_tag")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("execution_tag", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_execution_tag_tag_execution_id"), ["tag", "execution_id"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("execution_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("due_at", lazyengine.db.types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["execution_id"], ["execution.id"], name=op.f("fk_outbox_execution_id_execution")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_due_at"), ["due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_outbox_execution_id"), ["execution_id"], unique=False)
