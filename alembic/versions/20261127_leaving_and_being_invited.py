"""accounts that are to be deleted, mails without an address, invitations, and other ways to sign in"""

import sqlalchemy as sa
from alembic import op

revision = "a7f05c2e91d8"
down_revision = "a71c5e9032bd"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    default = None if nullable else NOW
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    op.add_column("accounts", _time("deletes_at"))
    op.add_column("accounts", sa.Column("deletion_mail_id", sa.Uuid(), nullable=True))
    op.alter_column("mails", "recipient", existing_type=sa.Text(), nullable=True)
    op.create_table(
        "deleted_addresses",
        sa.Column("address_hmac", sa.LargeBinary(), nullable=False),
        _time("deleted_at", nullable=False),
        sa.PrimaryKeyConstraint("address_hmac", name=op.f("pk_deleted_addresses")),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("bound", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("mail_id", sa.Uuid(), nullable=False),
        sa.Column("inviter_id", sa.Uuid(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        _time("created_at", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _time("used_at"),
        _time("revoked_at"),
        sa.ForeignKeyConstraint(
            ["inviter_id"], ["accounts.id"], name=op.f("fk_invitations_inviter_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_invitations_account_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("mail_id", name=op.f("uq_invitations_mail_id")),
    )
    op.create_index(op.f("ix_invitations_inviter_id"), "invitations", ["inviter_id"])
    op.create_index(op.f("ix_invitations_account_id"), "invitations", ["account_id"])
    op.create_index(op.f("ix_invitations_email_key"), "invitations", ["email_key"])
    op.add_column("sign_ups", sa.Column("invitation_id", sa.Uuid(), nullable=True))
    op.create_table(
        "account_identities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        _time("created_at", nullable=False),
        _time("used_at"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_account_identities_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_account_identities_issuer_subject")),
    )
    op.create_index(op.f("ix_account_identities_account_id"), "account_identities", ["account_id"])
    op.create_table(
        "sign_in_failures",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        _time("failed_at", nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_failures")),
    )
    op.create_index(op.f("ix_sign_in_failures_failed_at"), "sign_in_failures", ["failed_at"])


def downgrade() -> None:
    op.drop_table("sign_in_failures")
    op.drop_table("account_identities")
    op.drop_column("sign_ups", "invitation_id")
    op.drop_table("invitations")
    op.drop_table("deleted_addresses")
    op.execute("update mails set recipient = '' where recipient is null")
    op.alter_column("mails", "recipient", existing_type=sa.Text(), nullable=False)
    op.drop_column("accounts", "deletion_mail_id")
    op.drop_column("accounts", "deletes_at")
