"""mails too old are looked up, however many wait; those left to a person have ended"""

from alembic import op

from mailroom.ops.indexes import build, drop, one_by_one

revision = "e81c4a0b5d27"
down_revision = "7d2e9b51c6f3"
branch_labels = None
depends_on = None

INDEX = "ix_mails_expires_at"


def upgrade() -> None:
    with one_by_one():
        build("mails", INDEX, ["expires_at"], where="nudge_at IS NOT NULL")
        op.execute(
            "UPDATE mails SET ended_at = changed_at"
            " WHERE state = 'uncertain' AND nudge_at IS NULL AND ended_at IS NULL"
        )


def downgrade() -> None:
    with one_by_one():
        drop("mails", INDEX)
