"""mails that forms cause are counted by mailbox; several browsers may sign up with one address"""

import sqlalchemy as sa
from alembic import op

revision = "1f7c3b90ad52"
down_revision = "c3e81f7a50d2"
branch_labels = None
depends_on = None

TABLES = ("sign_up_mails", "password_mails")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("mailbox_key", sa.Text(), nullable=True))
        op.add_column(table, sa.Column("withheld", sa.Boolean(), server_default=sa.text("false"), nullable=False))
        op.add_column(table, sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "form_mail_slots",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_form_mail_slots")),
    )
    op.drop_index("uq_sign_ups_open_email_key", table_name="sign_ups")


def downgrade() -> None:
    # The earlier version knows one sign-up that waits for an address: the newest.
    op.execute(
        "UPDATE sign_ups SET replaced_at = now(), password_hash = NULL"
        " WHERE replaced_at IS NULL AND confirmed_at IS NULL AND id NOT IN ("
        "SELECT DISTINCT ON (email_key) id FROM sign_ups WHERE replaced_at IS NULL AND confirmed_at IS NULL"
        " ORDER BY email_key, created_at DESC)"
    )
    op.create_index(
        "uq_sign_ups_open_email_key",
        "sign_ups",
        ["email_key"],
        unique=True,
        postgresql_where=sa.text("replaced_at IS NULL AND confirmed_at IS NULL"),
    )
    op.drop_table("form_mail_slots")
    for table in TABLES:
        for column in ("renewed_at", "withheld", "mailbox_key"):
            op.drop_column(table, column)
