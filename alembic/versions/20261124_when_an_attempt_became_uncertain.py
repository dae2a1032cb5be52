"""when an attempt became uncertain"""

import sqlalchemy as sa
from alembic import op

revision = "4f0c2d7a91be"
down_revision = "a58a6ea438e4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("uncertain_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE attempts SET uncertain_at = ended_at WHERE outcome = 'uncertain'")


def downgrade() -> None:
    op.drop_column("attempts", "uncertain_at")
