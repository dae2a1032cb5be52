"""sign-ups and sign-ins by way of other sites"""

import sqlalchemy as sa
from alembic import op

revision = "7d25c1f0a8e3"
down_revision = "e7c41a9b53d8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sign_ups", sa.Column("issuer", sa.Text(), nullable=True))
    op.add_column("sign_ups", sa.Column("subject", sa.Text(), nullable=True))
    op.create_table(
        "authentication_requests",
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_authentication_requests")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name=op.f("fk_authentication_requests_session_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_authentication_requests_account_id"),
            ondelete="CASCADE",
        ),
    )
    for column in ("session_id", "account_id", "expires_at"):
        op.create_index(op.f(f"ix_authentication_requests_{column}"), "authentication_requests", [column])


def downgrade() -> None:
    op.drop_table("authentication_requests")
    op.drop_column("sign_ups", "subject")
    op.drop_column("sign_ups", "issuer")
