"""accounts know the language of their browser, which their mails are in where none is chosen"""

import sqlalchemy as sa
from alembic import op

revision = "e7c41a9b53d8"
down_revision = "b60d3f9a17ce"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("browser_language", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("accounts", "browser_language")
