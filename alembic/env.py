"""Runs the migrations against DATABASE_URL, one at a time however many deploys run at once.

Whoever comes second asks again and again for the lock instead of waiting inside one statement: that would hold a
snapshot, and the first one's CREATE INDEX CONCURRENTLY waits for the end of every snapshot older than its own.

Each migration is a transaction of its own. Where one cannot have a table within `LOCK_TIMEOUT`, because somebody's
long transaction uses it, it gives way to those who have queued up behind it meanwhile, and tries again. So it does
where PostgreSQL has ended it, because it and a transaction of the program waited for each other.
"""

import re
import sys
import time
from typing import Any

from alembic import context
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import DBAPIError, OperationalError

import mailroom.accounts.models
import mailroom.accounts.providers.models
import mailroom.accounts.two_factor.models
import mailroom.api_keys.models
import mailroom.desk.alerts.models
import mailroom.desk.models
import mailroom.desk.processes.models
import mailroom.events.models
import mailroom.mail.ledger.models
import mailroom.mail.messages.models
import mailroom.mail.models
import mailroom.mail.smtp.models
import mailroom.statistics.models
import mailroom.tasks.models
import mailroom.webhooks.models  # noqa: F401  # the imports fill the metadata
from mailroom.kit.database import Base
from mailroom.ops.database_errors import UNUSABLE, explain
from mailroom.ops.database_start import ask_database
from mailroom.ops.startup import BAD_SETTINGS, load_or_exit, say_problems
from mailroom.settings import Settings, SettingsError

LOCK = 0x6D696772  # "migr"
ASK_EVERY = 0.2
"""Seconds between two tries to get the lock."""
LOCK_TIMEOUT = 5.0
"""Seconds a statement waits for a table; all who need that table wait behind it."""
PAUSE = 5.0
"""Seconds until a migration that gave way tries again."""
TRIES = 12

IN_THE_WAY = """
select format('  pid %s: %s, %s, begun %s s ago', pid, coalesce(nullif(application_name, ''), backend_type),
    state, round(extract(epoch from now() - xact_start)))
from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
order by xact_start limit 5
"""
GAVE_UP = """\
A migration could not have a table, which a long transaction uses. Those open now, the longest first:
{others}
Let it end, or end it (`select pg_terminate_backend(<pid>)` in psql). Then migrate again: it goes on from here.\
"""


def run() -> None:
    given = context.config.attributes
    url = given.get("url") or url_of(load_or_exit())
    try:
        migrate_all(url, given)
    except DBAPIError as error:
        if not isinstance(error.orig, UNUSABLE):
            raise
        print(explain(error.orig, url), file=sys.stderr)  # noqa: T201
        raise SystemExit(BAD_SETTINGS) from None


def url_of(settings: Settings) -> str:
    """Return where to migrate: past a pooler in transaction mode, which would keep the lock, or not at all."""
    try:
        ask_database(settings)
    except SettingsError as error:
        say_problems(error)
        raise SystemExit(BAD_SETTINGS) from None
    return settings.session_database_url


def migrate_all(url: str, given: dict[str, Any]) -> None:
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        take_lock(connection)
        milliseconds = round(given.get("lock_timeout", LOCK_TIMEOUT) * 1000)
        connection.execute(text(f"set lock_timeout = {milliseconds}"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            include_object=tables_of(given.get("only", "")),
            on_version_apply=say_step,
            transaction_per_migration=True,
        )
        migrate(connection, given.get("pause", PAUSE), given.get("tries", TRIES))


def tables_of(prefix: str) -> Any:
    """Return which tables are compared with the models: those that begin so, an app's."""

    def is_compared(_thing: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        return kind != "table" or str(name).startswith(prefix)

    return is_compared


def take_lock(connection: Connection) -> None:
    """Take the session's lock, which goes with the connection; in transactions that end before the next try."""
    waiting = False
    while not connection.scalar(text("select pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
        connection.commit()
        if not waiting:
            say("another deploy is migrating: waiting until it has ended")
            waiting = True
        time.sleep(ASK_EVERY)
    connection.commit()


def migrate(connection: Connection, pause: float, tries: int) -> None:
    """Run what is to be run, again where a table could not be had: what was done before that stays done."""
    for left in reversed(range(1 if counts_from_here() else tries)):
        try:
            with context.begin_transaction():
                context.run_migrations()
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise
            connection.rollback()
            others = "\n".join(connection.scalars(text(IN_THE_WAY))) or "  (none that we may see)"
            connection.rollback()
            if not left:
                raise SystemExit(GAVE_UP.format(others=others)) from None
            say(f"another transaction is in the way, trying again in {pause:g} s. Open now:\n{others}")
            time.sleep(pause)
        else:
            return


def counts_from_here() -> bool:
    """Return whether the goal is counted from here (`-2`): half-way it is another, so one try must do."""
    goal = str(context.get_context().opts.get("destination_rev"))
    return bool(re.search(r"[+-]\d+$", goal))


def say_step(*, step: Any, **_: Any) -> None:
    """Tell the deploy's log what was done."""
    say(f"migrated to {step.up_revision_id}")


def say(words: str) -> None:
    print(words, flush=True)  # noqa: T201


run()
