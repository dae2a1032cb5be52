"""changes of the address of an account: asked for, confirmed by the new side, taken back by the old one"""

import sqlalchemy as sa
from alembic import op

revision = "9d41c7ab60f3"
down_revision = "2b8e6f0d19a4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "address_changes",
        sa.Column("mail_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("old_email", sa.Text(), nullable=False),
        sa.Column("new_email", sa.Text(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_address_changes_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mail_id", name=op.f("pk_address_changes")),
    )
    op.create_index("ix_address_changes_account_id", "address_changes", ["account_id"])


def downgrade() -> None:
    op.drop_table("address_changes")
