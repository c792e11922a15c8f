"""What the dispatcher writes down: sendings, and notifications with their tries; ends are found by their time."""

import sqlalchemy as sa
from alembic import op

from lazyengine.db.types import Json, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mark", sa.Column("sends", sa.Integer(), nullable=True))
    op.add_column("mark", sa.Column("resend_at", UtcDateTime(), nullable=True))
    is_sent = sa.text("resend_at IS NOT NULL")
    op.create_index("ix_mark_resend_at", "mark", ["resend_at"], postgresql_where=is_sent, sqlite_where=is_sent)
    op.add_column("execution", sa.Column("notify", Json(), nullable=True))
    op.create_index("ix_execution_finished_at", "execution", ["finished_at"])
    for column in (
        sa.Column("body", Json(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=True),
    ):
        op.add_column("outbox", column)
    op.create_index("ix_outbox_kind_due_at", "outbox", ["kind", "due_at"])
    op.drop_index("ix_outbox_due_at", "outbox")


def downgrade() -> None:
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])
    op.drop_index("ix_outbox_kind_due_at", "outbox")
    for name in ("created_at", "error", "tries", "url", "body"):
        op.drop_column("outbox", name)
    op.drop_index("ix_execution_finished_at", "execution")
    op.drop_column("execution", "notify")
    op.drop_index("ix_mark_resend_at", "mark")
    op.drop_column("mark", "resend_at")
    op.drop_column("mark", "sends")
