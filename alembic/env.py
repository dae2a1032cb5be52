"""Runs the migrations against DATABASE_URL, one at a time however many deploys run at once."""

from typing import Any

from alembic import context
from sqlalchemy import create_engine, pool, text

import mailroom.accounts.models
import mailroom.mail.models
import mailroom.progress.models  # noqa: F401  # the imports fill the metadata
from mailroom.kit.database import Base
from mailroom.ops.starting import settings_of_a_door

LOCK = 0x6D696772  # "migr"


def say(*, step: Any, **_: Any) -> None:
    """Tell the deploy's log what was done."""
    print(f"migrated to {step.up_revision_id}")  # noqa: T201


def run() -> None:
    engine = create_engine(
        context.config.attributes.get("url") or settings_of_a_door().database_url, poolclass=pool.NullPool
    )
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
        connection.commit()
        context.configure(
            connection=connection, target_metadata=Base.metadata, compare_type=True, on_version_apply=say
        )
        with context.begin_transaction():
            context.run_migrations()


run()
