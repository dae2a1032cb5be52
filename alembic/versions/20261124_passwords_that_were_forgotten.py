"""passwords that were forgotten"""

import sqlalchemy as sa
from alembic import op

revision = "c3d1b75e0f42"
down_revision = "4f0c2d7a91be"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "password_mails",
        sa.Column("mail_id", sa.Uuid(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_password_mails_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["mail_id"], ["mails.id"], name=op.f("fk_password_mails_mail_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mail_id", name=op.f("pk_password_mails")),
    )
    op.create_index(op.f("ix_password_mails_account_id"), "password_mails", ["account_id"])
    op.create_index(op.f("ix_password_mails_email_key_created_at"), "password_mails", ["email_key", "created_at"])


def downgrade() -> None:
    op.drop_table("password_mails")
