"""Tags of stored workflows, to find these by."""

import json
import re

import sqlalchemy as sa
from alembic import op

import lazyengine.db.types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Name = lazyengine.db.types.Name
_NOT_ASKED_FOR = re.compile(r"[\x00\ud800-\udfff]")


def upgrade() -> None:
    workflow_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    table = op.create_table(
        "workflow_tag",
        sa.Column("workflow_id", workflow_id, nullable=False),
        sa.Column("tag", Name(), nullable=False),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflow.id"], name="fk_workflow_tag_workflow_id_workflow"),
        sa.PrimaryKeyConstraint("workflow_id", "tag", name="pk_workflow_tag"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_workflow_tag_tag_workflow_id", "workflow_tag", ["tag", "workflow_id"])
    connection = op.get_bind()
    stored = connection.execute(sa.text("SELECT id, declaration FROM workflow"))
    rows = [{"workflow_id": id, "tag": tag} for id, declaration in stored for tag in _tags(declaration)]
    if rows:
        connection.execute(table.insert(), rows)


def _tags(declaration: str) -> list[str]:
    tags = dict.fromkeys(json.loads(declaration)["tags"])
    return [tag for tag in tags if len(tag) <= 255 and not _NOT_ASKED_FOR.search(tag)]
