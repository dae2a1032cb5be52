"""second factors, what a browser is asked for, what accounts choose, and addresses that are held back"""

import sqlalchemy as sa
from alembic import op

revision = "5f8d0a3c72e1"
down_revision = "b84e2f6c1d90"
branch_labels = None
depends_on = None

ACCOUNT = {
    "name": sa.Text(),
    "language": sa.Text(),
    "time_zone": sa.Text(),
    "notices": sa.ARRAY(sa.Text()),
    "two_step_at": sa.DateTime(timezone=True),
    "codes_due_at": sa.DateTime(timezone=True),
}
TABLES = (
    "held_addresses",
    "pending_sign_ins",
    "webauthn_challenges",
    "passkeys",
    "recovery_codes",
    "totp_secrets",
)


def upgrade() -> None:
    for name, kind in ACCOUNT.items():
        op.add_column("accounts", sa.Column(name, kind, nullable=True))
    op.add_column("sessions", sa.Column("kept", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("sessions", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "totp_secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        _created(),
        _of_account("totp_secrets"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_totp_secrets")),
    )
    for name, condition in (("proven", "proven_at IS NOT NULL"), ("new", "proven_at IS NULL")):
        op.create_index(
            f"ix_totp_secrets_{name}",
            "totp_secrets",
            ["account_id"],
            unique=True,
            postgresql_where=sa.text(condition),
        )
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        _created(),
        _of_account("recovery_codes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
    )
    op.create_index("ix_recovery_codes_account_id", "recovery_codes", ["account_id"])
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("transports", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("is_synced", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        _created(),
        _of_account("passkeys"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_index("ix_passkeys_account_id", "passkeys", ["account_id"])
    op.create_table(
        "webauthn_challenges",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _of_session("webauthn_challenges"),
        sa.PrimaryKeyConstraint("session_id", "purpose", name=op.f("pk_webauthn_challenges")),
    )
    op.create_table(
        "pending_sign_ins",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("password_mark", sa.LargeBinary(), nullable=False),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _created(),
        _of_session("pending_sign_ins"),
        _of_account("pending_sign_ins"),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_pending_sign_ins")),
    )
    op.create_index("ix_pending_sign_ins_account_id", "pending_sign_ins", ["account_id"])
    op.create_table(
        "held_addresses",
        sa.Column("mailbox_key", sa.Text(), nullable=False),
        sa.Column("mail_id", sa.Uuid(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_key", name=op.f("pk_held_addresses")),
    )
    op.create_index("ix_held_addresses_until", "held_addresses", ["until"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("sessions", "verified_at")
    op.drop_column("sessions", "kept")
    for name in reversed(ACCOUNT):
        op.drop_column("accounts", name)


def _created() -> "sa.Column[object]":
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_account_id")
    return sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=name, ondelete="CASCADE")


def _of_session(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_session_id")
    return sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=name, ondelete="CASCADE")
