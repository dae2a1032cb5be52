"""an attempt is written once, when it ends; until then its facts are in the mail's row"""

import sqlalchemy as sa
from alembic import op

revision = "7d2e9b51c6f3"
down_revision = "c3d1b75e0f42"
branch_labels = None
depends_on = None

TIMES = ("claimed_at", "connected_at", "handing_over_at")


def upgrade() -> None:
    # What workers of the version before have under way keeps its row: whatever ends it updates that one.
    for name in ("worker", "server"):
        op.add_column("mails", sa.Column(name, sa.Text(), nullable=True))
    for name in TIMES:
        op.add_column("mails", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute(
        "INSERT INTO attempts (mail_id, attempt, worker, server, claimed_at, connected_at, handing_over_at)"
        " SELECT id, attempt, worker, server, claimed_at, connected_at, handing_over_at FROM mails"
        " WHERE state = 'sending' AND claimed_at IS NOT NULL ON CONFLICT DO NOTHING"
    )
    for name in (*TIMES, "server", "worker"):
        op.drop_column("mails", name)
