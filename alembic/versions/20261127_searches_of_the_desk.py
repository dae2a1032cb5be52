"""saved searches, acts on many mails, locked accounts"""

import sqlalchemy as sa
from alembic import op

revision = "c7e1a4d95b20"
down_revision = "5f8d0a3c72e1"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.add_column("accounts", sa.Column("locked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "saved_searches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_saved_searches_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_searches")),
    )
    op.create_index("uq_saved_searches_account_id_name", "saved_searches", ["account_id", "name"], unique=True)
    op.create_table(
        "bulk_actions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reached", sa.Uuid(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("changed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("left_alone", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["tasks.id"], name=op.f("fk_bulk_actions_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_actions")),
    )


def downgrade() -> None:
    op.drop_table("bulk_actions")
    op.drop_table("saved_searches")
    op.drop_column("accounts", "locked_at")
