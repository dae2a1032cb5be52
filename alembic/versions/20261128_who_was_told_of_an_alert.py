"""an alert knows whom its mails have reached"""

import sqlalchemy as sa
from alembic import op

revision = "d41f8b6a2c97"
down_revision = "9b3e5d70c1f6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "alerts", sa.Column("reached", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("alerts", "reached")
