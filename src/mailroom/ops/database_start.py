"""What a command asks PostgreSQL before it starts its processes: are sessions kept, and is there room?"""

import asyncio
import logging
import os

import psycopg

from mailroom.i18n.messages import gettext
from mailroom.ops.pooler import Pooling, connect, pooling
from mailroom.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

LEAST = 3
"""Connections that a process needs so that it never waits for itself: for a worker's lock, for its hot statements,
and for all else."""
LEAST_DIRECT = 2
"""The same if there is a pooler: all else goes through the pooler, and these connections bypass it."""
SPARE = 2
"""Connections left for the doctor, the shell and a migration."""
ROOM = """
least(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0),
    (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
    (select nullif(datconnlimit, -1) from pg_database where datname = current_database())
) as connections
"""


def ask_database(settings: Settings) -> Settings:
    """Return the settings with as many connections as the server has room for, unless that is set. Blocks.

    Processes that are started afterwards get the number from their environment. Raises `SettingsError` if sessions
    are needed and a pooler breaks them. If PostgreSQL cannot be asked, the settings stay as they are, and the
    processes that start wait for it.
    """
    try:
        found, room = asyncio.run(_ask(settings.session_database_url))
    except psycopg.Error:
        return settings
    _refuse(found, settings)
    setting, fitting = fitted_setting(settings), fitting_connections(settings, room)
    if fitting == getattr(settings, setting):
        return settings
    os.environ[setting.upper()] = str(fitting)
    logger.info("each process may have %d connections to PostgreSQL, which allows %d in all", fitting, room)
    return settings.model_copy(update={setting: fitting})


def fitted_setting(settings: Settings) -> str:
    """Return the name of the setting that limits connections to PostgreSQL itself, not those to a pooler."""
    return "database_direct_connections" if settings.database_direct_url else "database_connections"


def fitting_connections(settings: Settings, room: int) -> int:
    """Return how many connections each process may have: what is set, or what fits into `room` for all of them."""
    setting = fitted_setting(settings)
    most: int = getattr(settings, setting)
    if setting in settings.model_fields_set:
        return most
    least = LEAST_DIRECT if settings.database_direct_url else LEAST
    processes = settings.web_concurrency + settings.worker_processes + settings.submission_processes
    return max(least, min(most, (room - SPARE) // processes))


async def _ask(url: str) -> tuple[Pooling, int]:
    async with await connect(url, name="mailroom") as one, await connect(url, name="mailroom") as other:
        found = await pooling(one, other)
        row = await (await one.execute(f"select {ROOM}".encode(), prepare=False)).fetchone()
    assert row
    return found, int(row[0])


def _refuse(found: Pooling, settings: Settings) -> None:
    if not found.breaks_sessions:
        return
    if settings.database_direct_url:
        words = gettext(
            "DATABASE_DIRECT_URL leads to a pooler that gives each transaction another connection (PgBouncer "
            "calls that pool_mode = transaction). Name PostgreSQL itself there."
        )
    else:
        words = gettext(
            "DATABASE_URL leads to a pooler that gives each transaction another connection (PgBouncer calls that "
            "pool_mode = transaction); prepared statements and locks are lost by that. Set DATABASE_DIRECT_URL to "
            "the address of PostgreSQL itself, or set pool_mode = session for Mailroom's database."
        )
    raise SettingsError([words])
