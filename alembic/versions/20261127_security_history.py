"""what happened to the security of each account; from where a session was used last"""

import sqlalchemy as sa
from alembic import op

revision = "2b8e6f0d19a4"
down_revision = "d95b2c6e08f1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("mail_id", sa.Uuid(), nullable=True),
        sa.Column("disowned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_account_events_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_events")),
    )
    op.create_index("ix_account_events_account_id_id", "account_events", ["account_id", "id"])
    op.create_index("ix_account_events_account_id_device", "account_events", ["account_id", "device"])
    op.create_index("ix_account_events_mail_id", "account_events", ["mail_id"])
    op.add_column("sessions", sa.Column("address", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "address")
    op.drop_table("account_events")
