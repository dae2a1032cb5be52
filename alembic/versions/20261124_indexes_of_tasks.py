"""indexes of tasks, built while they are in use

It was once part of the revision before it: a database that is at a later one has the indexes already.
"""

from alembic import op

from mailroom.ops.indexes import build, drop, one_by_one

revision = "b3f60a9d27c4"
down_revision = "a58a6ea438e4"
branch_labels = None
depends_on = None

NEW = {
    "ix_tasks_owner_id_id": ("owner_id", "id"),
    "ix_tasks_part_of": ("part_of", "place"),
    "ix_tasks_nudge_at": ("nudge_at",),
    "ix_tasks_lease_until": ("lease_until",),
}
PARTIAL = {"ix_tasks_part_of", "ix_tasks_nudge_at", "ix_tasks_lease_until"}
OLD = {"ix_tasks_owner_id_created_at": ("owner_id", "created_at")}


def upgrade() -> None:
    with one_by_one():
        op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT fk_tasks_part_of")
        for name, columns in NEW.items():
            build("tasks", name, columns, where=f"{columns[0]} IS NOT NULL" if name in PARTIAL else None)
        for name in OLD:
            drop("tasks", name)


def downgrade() -> None:
    with one_by_one():
        for name, columns in OLD.items():
            build("tasks", name, columns)
        for name in NEW:
            drop("tasks", name)
