"""deliveries of webhooks are looked for by endpoint, so that one with thousands that wait hides no other"""

from mailroom.ops.indexes import build, drop, one_by_one

revision = "4d9e27b81c60"
down_revision = "c1f4806be2d7"
branch_labels = None
depends_on = None

TABLE, WAITS = "webhook_deliveries", "next_at IS NOT NULL"
OLD, NEW = "ix_webhook_deliveries_next_at", "ix_webhook_deliveries_due"


def upgrade() -> None:
    with one_by_one():
        build(TABLE, NEW, ["endpoint_id", "next_at"], where=WAITS)
        drop(TABLE, OLD)


def downgrade() -> None:
    with one_by_one():
        build(TABLE, OLD, ["next_at"], where=WAITS)
        drop(TABLE, NEW)
