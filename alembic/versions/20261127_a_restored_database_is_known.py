"""a restored database is told from the one that workers wrote to last"""

import sqlalchemy as sa
from alembic import op

revision = "d95b2c6e08f1"
down_revision = "3fa9d1c07b64"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "database_identity",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("system_identifier", sa.Text(), nullable=False),
        sa.Column("database_oid", sa.BigInteger(), nullable=False),
        sa.Column("written_by", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_database_identity"),
    )


def downgrade() -> None:
    op.drop_table("database_identity")
