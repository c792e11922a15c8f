"""Since when an attempt cannot be sent, so that trying has an end."""

import sqlalchemy as sa
from alembic import op

from lazyengine.db.types import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mark", sa.Column("unsent_since", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("mark", "unsent_since")
