"""indexes of background tasks by name and without parts, built while their table is in use"""

import sqlalchemy as sa
from alembic import op

from mailroom.ops.indexes import VALID, drop, one_by_one

revision = "7d2c91e4b603"
down_revision = "7d25c1f0a8e3"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_tasks_name": "(name, id) WHERE name IS NOT NULL",
    "ix_tasks_whole": "(id) WHERE name IS NOT NULL AND part_of IS NULL",
}


def upgrade() -> None:
    with one_by_one():
        for name, definition in INDEXES.items():
            if op.get_bind().scalar(VALID, {"name": name}) is False:
                drop("tasks", name)
            op.execute(sa.text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON tasks {definition}"))


def downgrade() -> None:
    with one_by_one():
        for name in INDEXES:
            drop("tasks", name)
