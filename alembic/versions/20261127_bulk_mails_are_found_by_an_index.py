"""bulk mails that are due, and the mails of a message, are found by an index"""

from alembic import op

from mailroom.ops.indexes import build, drop, one_by_one

revision = "8d20e5b16c47"
down_revision = "4c1f7a92be30"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with one_by_one():
        build("mails", "ix_mails_message_id", ["message_id"], where="message_id IS NOT NULL")
        build("mails", "ix_mails_bulk_nudge_at", ["nudge_at"], where="stream = 'bulk' AND nudge_at IS NOT NULL")
        op.execute("ALTER TABLE mails VALIDATE CONSTRAINT fk_mails_message_id")


def downgrade() -> None:
    with one_by_one():
        for name in ("ix_mails_bulk_nudge_at", "ix_mails_message_id"):
            drop("mails", name)
