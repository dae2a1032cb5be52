"""mails show the address that was typed"""

import sqlalchemy as sa
from alembic import op

revision = "0c6b8f2e9a41"
down_revision = "e81c4a0b5d27"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mails", sa.Column("typed_recipient", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("mails", "typed_recipient")
