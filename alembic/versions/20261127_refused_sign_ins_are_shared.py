"""refused sign-ins at the mail server are shared by all workers"""

import sqlalchemy as sa
from alembic import op

revision = "c3e81f7a50d2"
down_revision = "b47c0d9e2a15"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "smtp_sign_ins",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusals", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trying_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code", sa.SmallInteger(), nullable=True),
        sa.Column("enhanced", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_smtp_sign_ins"),
    )


def downgrade() -> None:
    op.drop_table("smtp_sign_ins")
