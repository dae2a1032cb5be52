"""PostgreSQL: reachable, new enough, migrated, on time, and with room for our connections."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from mailroom.kit.postgres_connection import PostgresConnection
from mailroom.ops import migrations
from mailroom.ops.database_errors import explain
from mailroom.ops.doctor import pooler
from mailroom.ops.doctor.findings import Finding, broken, budget, good, unknown, warning
from mailroom.settings import Settings
from mailroom.settings.urls import database_place, libpq_url

CHECK, MIGRATIONS, RIGHTS = "database", "migrations", "database rights"
CLOCK, CONNECTIONS = "clock", "database connections"
OLDEST = 14
CLOCK_SECONDS = 5
SCRIPTS = migrations.scripts()
NEW_DATABASE = "Make one with: createdb --encoding=UTF8 --template=template0 NAME; then `mailroom migrate`."
FORBIDDEN = """
select string_agg(relname, ', ' order by relname) from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'alembic_version'
    and not (has_table_privilege(oid, 'select') and has_table_privilege(oid, 'insert')
        and has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete'))
"""
UPGRADE = "Run `mailroom migrate` (the release line of the Procfile)."

ABOUT = """
select current_setting('server_version') as version,
    current_setting('server_version_num')::int / 10000 as major,
    current_setting('server_encoding') as encoding,
    pg_is_in_recovery() as standby,
    clock_timestamp() as now,
    to_regclass('alembic_version') is not null as migrated,
    least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
        (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
        (select nullif(datconnlimit, -1) from pg_database where datname = current_database())
    ) as connections
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says about itself."""

    version: str
    major: int
    encoding: str
    standby: bool
    now: datetime
    migrated: bool
    connections: int


def plain(url: str) -> str:
    """Return DATABASE_URL as psycopg takes it."""
    return libpq_url(url)


async def check(settings: Settings) -> list[Finding]:
    """Check DATABASE_URL, and what hangs on it."""
    try:
        connection, other = await asyncio.gather(_connect(settings), _connect(settings))
    except psycopg.Error as error:
        return [broken(CHECK, *explain(error, settings.database_url))]
    async with connection, other:
        before = time.time()
        cursor = connection.cursor(row_factory=class_row(Server))
        server = await (await cursor.execute(ABOUT)).fetchone()
        assert server
        late = (before + time.time()) / 2 - server.now.timestamp()
        return [
            _server(server, settings),
            *await pooler.check(connection, other),
            await _migrations(connection, server),
            *await _rights(connection, settings),
            _clock(late),
            _connections(server, settings),
        ]


async def _connect(settings: Settings) -> PostgresConnection:
    return await PostgresConnection.connect(
        plain(settings.database_url), autocommit=True, connect_timeout=4, application_name="mailroom doctor"
    )


def where(settings: Settings) -> str:
    """Return host and database name: fit to show."""
    return database_place(settings.database_url)


def _server(server: Server, settings: Settings) -> Finding:
    title = f"PostgreSQL {server.version} at {where(settings)}"
    if server.major < OLDEST:
        return broken(CHECK, f"{title} is too old", f"Mailroom needs {OLDEST} or later.")
    if server.standby:
        return broken(CHECK, f"{title} is a standby, which takes no writes", "Name the primary in DATABASE_URL.")
    if server.encoding == "SQL_ASCII":
        words = f"{title} has the encoding SQL_ASCII: it keeps bytes and does not know which letters they are"
        return broken(CHECK, words, NEW_DATABASE)
    if server.encoding != "UTF8":
        words = f"{title} keeps its text as {server.encoding}"
        return warning(CHECK, f"{words}: not every name can be kept", NEW_DATABASE)
    return good(CHECK, title)


async def _migrations(connection: "psycopg.AsyncConnection[Any]", server: Server) -> Finding:
    heads, known = await asyncio.to_thread(_revisions)
    if not heads:
        return unknown(
            MIGRATIONS, f"the migrations are not beside the program ({SCRIPTS}), so there is no telling"
        )
    if not server.migrated:
        return broken(MIGRATIONS, "the database has no tables of Mailroom's yet", UPGRADE)
    rows = await (await connection.execute("select version_num from alembic_version")).fetchall()
    applied = {str(row[0]) for row in rows}
    if applied == heads:
        return good(MIGRATIONS, f"at head ({', '.join(sorted(heads))})")
    if applied - known:
        words = f"the database was migrated by another version of Mailroom ({', '.join(sorted(applied - known))})"
        return broken(MIGRATIONS, words, "Run the version of Mailroom that goes with it.")
    words = f"the database is at {', '.join(sorted(applied)) or 'nothing'}, this version needs {', '.join(heads)}"
    return broken(MIGRATIONS, words, UPGRADE)


def _revisions() -> tuple[set[str], set[str]]:
    """Return the newest migrations and all there are; none where their folder is not installed."""
    if not SCRIPTS.is_dir():
        return set(), set()
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(SCRIPTS))
    return set(scripts.get_heads()), {script.revision for script in scripts.walk_revisions()}


async def _rights(connection: "psycopg.AsyncConnection[Any]", settings: Settings) -> list[Finding]:
    """Tell which tables this user may not use: somebody else may have migrated."""
    row = await (await connection.execute(FORBIDDEN)).fetchone()
    if not row or not row[0]:
        return []
    user = connection.info.user
    words = f"the user {user} may not read and write all tables of {where(settings)}: {row[0]}"
    return [broken(RIGHTS, words, f'As their owner: GRANT ALL ON ALL TABLES IN SCHEMA public TO "{user}";')]


def _clock(late: float) -> Finding:
    if abs(late) <= CLOCK_SECONDS:
        return good(CLOCK, "this machine and the database agree")
    words = f"this machine is {abs(late):.0f} s {'ahead of' if late > 0 else 'behind'} the database"
    return warning(CLOCK, words, "Let both follow a time server (NTP); times shown to people are off until then.")


def _connections(server: Server, settings: Settings) -> Finding:
    return budget(CONNECTIONS, settings, "DATABASE_CONNECTIONS", available=server.connections)
