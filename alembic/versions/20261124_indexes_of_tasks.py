"""indexes of tasks, built while they are in use

Nothing here is in a transaction, so each step is one that can be taken again: stopped anywhere, this is run anew.
It is the pattern for building an index on a large table. (It was once part of the revision before it: a database
that is at a later one has the indexes already.)
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

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

VALID = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def upgrade() -> None:
    with one_by_one():
        op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT fk_tasks_part_of")
        for name, columns in NEW.items():
            build(name, columns)
        for name in OLD:
            drop(name)


def downgrade() -> None:
    with one_by_one():
        for name, columns in OLD.items():
            build(name, columns)
        for name in NEW:
            drop(name)


@contextmanager
def one_by_one() -> Iterator[None]:
    """Statements outside of a transaction, each waiting as long as it must: nobody has to wait behind these."""
    with op.get_context().autocommit_block():
        usual = op.get_bind().scalar(sa.text("SHOW lock_timeout"))
        op.execute("SET lock_timeout = 0")
        yield
        op.execute(f"SET lock_timeout = '{usual}'")


def build(name: str, columns: tuple[str, ...]) -> None:
    """Build this index unless it is there; a build that was stopped has left one that is not valid."""
    if op.get_bind().scalar(VALID, {"name": name}) is False:
        drop(name)
    where = sa.text(f"{columns[0]} IS NOT NULL") if name in PARTIAL else None
    op.create_index(
        name, "tasks", list(columns), postgresql_where=where, postgresql_concurrently=True, if_not_exists=True
    )


def drop(name: str) -> None:
    op.drop_index(name, table_name="tasks", postgresql_concurrently=True, if_exists=True)
