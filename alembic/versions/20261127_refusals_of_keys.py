"""the newest requests of each key that were refused"""

import sqlalchemy as sa
from alembic import op

revision = "b84e2f6c1d90"
down_revision = "a7f05c2e91d8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_key_refusals",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], ondelete="CASCADE", name="fk_api_key_refusals_key_id_api_keys"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_key_refusals"),
    )
    op.create_index("ix_api_key_refusals_key_id", "api_key_refusals", ["key_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_api_key_refusals_key_id", table_name="api_key_refusals")
    op.drop_table("api_key_refusals")
