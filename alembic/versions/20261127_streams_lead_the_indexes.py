"""streams lead the indexes of claim and sweep; mails are found by their message"""

from alembic import op

from mailroom.ops.indexes import build, drop, one_by_one

revision = "8d20e5b16c47"
down_revision = "4c1f7a92be30"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with one_by_one():
        build("mails", "ix_mails_message_id", ["message_id"], where="message_id IS NOT NULL")
        build("mails", "ix_mails_stream_nudge_at", ["stream", "nudge_at"], where="nudge_at IS NOT NULL")
        build("mails", "ix_mails_stream_created_at", ["stream", "created_at"], where="state = 'queued'")
        op.execute("ALTER TABLE mails VALIDATE CONSTRAINT fk_mails_message_id")


def downgrade() -> None:
    with one_by_one():
        for name in ("ix_mails_stream_created_at", "ix_mails_stream_nudge_at", "ix_mails_message_id"):
            drop("mails", name)
