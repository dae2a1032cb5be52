"""Indexes that migrations build or drop while their tables are in use.

None of this runs in a transaction, so each step may be repeated: a migration that consists of such steps can be
stopped anywhere and run again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

VALID = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


@contextmanager
def one_by_one() -> Iterator[None]:
    """Run statements outside of a transaction. Each waits for locks as long as it must; no others wait for it."""
    with op.get_context().autocommit_block():
        usual = op.get_bind().scalar(sa.text("SHOW lock_timeout"))
        op.execute("SET lock_timeout = 0")
        yield
        op.execute(f"SET lock_timeout = '{usual}'")


def build(table: str, name: str, columns: Sequence[str], *, where: str | None = None) -> None:
    """Build this index unless it is there. An invalid one, left by a build that was stopped, is built again."""
    if op.get_bind().scalar(VALID, {"name": name}) is False:
        drop(table, name)
    op.create_index(
        name,
        table,
        list(columns),
        postgresql_where=sa.text(where) if where else None,
        postgresql_concurrently=True,
        if_not_exists=True,
    )


def drop(table: str, name: str) -> None:
    """Drop this index if it is there."""
    op.drop_index(name, table_name=table, postgresql_concurrently=True, if_exists=True)
