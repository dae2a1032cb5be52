"""when an attempt became uncertain"""

import sqlalchemy as sa
from alembic import op

revision = "4f0c2d7a91be"
down_revision = "b3f60a9d27c4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "attempts", sa.Column("uncertain_at", sa.DateTime(timezone=True), nullable=True), if_not_exists=True
    )
    # The column is committed first: reading all attempts takes its time, and nobody could use them meanwhile.
    # Stopped here, both steps can be taken again.
    with op.get_context().autocommit_block():
        op.execute(
            "UPDATE attempts SET uncertain_at = ended_at WHERE outcome = 'uncertain' AND uncertain_at IS NULL"
        )


def downgrade() -> None:
    op.drop_column("attempts", "uncertain_at")
