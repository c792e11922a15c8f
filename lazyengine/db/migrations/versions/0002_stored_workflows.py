"""Stored workflows: a row for each revision of a workflow, and one for each definition."""

import sqlalchemy as sa
from alembic import op

import lazyengine.db.types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "definition",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", lazyengine.db.types.Json(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_definition")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "workflow",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner", lazyengine.db.types.Name(length=255), nullable=False),
        sa.Column("namespace", lazyengine.db.types.Name(length=255), nullable=False),
        sa.Column("name", lazyengine.db.types.Name(length=255), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("definition_digest", sa.String(length=64), nullable=False),
        sa.Column("declaration", lazyengine.db.types.Json(), nullable=False),
        sa.Column("created_at", lazyengine.db.types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["definition_digest"], ["definition.digest"], name=op.f("fk_workflow_definition_digest_definition")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workflow")),
        sa.UniqueConstraint(
            "owner", "namespace", "name", "revision", name=op.f("uq_workflow_owner_namespace_name_revision")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("workflow", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_workflow_definition_digest"), ["definition_digest"], unique=False)
