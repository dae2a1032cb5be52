"""titles, messages and errors of tasks may be codes with parameters"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "b47c0d9e2a15"
down_revision = "8d20e5b16c47"
branch_labels = None
depends_on = None

COLUMNS = ("title_params", "message_params", "error_params")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("tasks", sa.Column(name, postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("tasks", name)
