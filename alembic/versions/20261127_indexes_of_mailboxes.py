"""indexes: mails of a mailbox, mails of all forms, and the sign-ups that wait for an address"""

from mailroom.ops.indexes import build, drop, one_by_one

revision = "6a0e94d1c7b8"
down_revision = "1f7c3b90ad52"
branch_labels = None
depends_on = None

OPEN = "replaced_at IS NULL AND confirmed_at IS NULL"


def upgrade() -> None:
    with one_by_one():
        build("sign_ups", "ix_sign_ups_open_email_key", ["email_key", "created_at"], where=OPEN)
        for table in ("sign_up_mails", "password_mails"):
            build(table, f"ix_{table}_sent", ["mailbox_key", "created_at"], where="NOT withheld")
            build(table, f"ix_{table}_created_at", ["created_at"])


def downgrade() -> None:
    with one_by_one():
        for table in ("password_mails", "sign_up_mails"):
            drop(table, f"ix_{table}_created_at")
            drop(table, f"ix_{table}_sent")
        drop("sign_ups", "ix_sign_ups_open_email_key")
