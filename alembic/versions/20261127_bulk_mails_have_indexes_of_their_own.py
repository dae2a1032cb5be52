"""what is looked up every second in one stream of mails does not read the other's rows"""

from mailroom.ops.indexes import build, drop, one_by_one

revision = "b60d3f9a17ce"
down_revision = "e05b9c3f7a81"
branch_labels = None
depends_on = None

TRANSACTIONAL = "stream = 'transactional' AND"


def upgrade() -> None:
    with one_by_one():
        build(
            "mails", "ix_mails_transactional_nudge_at", ["nudge_at"], where=f"{TRANSACTIONAL} nudge_at IS NOT NULL"
        )
        build("mails", "ix_mails_transactional_queued", ["created_at"], where=f"{TRANSACTIONAL} state = 'queued'")
        drop("mails", "ix_mails_nudge_at")


def downgrade() -> None:
    with one_by_one():
        build("mails", "ix_mails_nudge_at", ["nudge_at"], where="nudge_at IS NOT NULL")
        drop("mails", "ix_mails_transactional_queued")
        drop("mails", "ix_mails_transactional_nudge_at")
