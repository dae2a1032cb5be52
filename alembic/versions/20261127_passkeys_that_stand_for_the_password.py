"""sessions know when a passkey was shown that stands for the password"""

import sqlalchemy as sa
from alembic import op

revision = "9b3e5d70c1f6"
down_revision = "7d2c91e4b603"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("passkey_verified_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "passkey_verified_at")
