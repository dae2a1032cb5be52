"""PostgreSQL: reachable, new enough, migrated, on time, and with room for our connections."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from mailroom.apps.installed import Apps
from mailroom.apps.loader import load as load_apps
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit.postgres_connection import PostgresConnection
from mailroom.ops import migrations
from mailroom.ops.database_errors import explain
from mailroom.ops.database_start import ROOM, fitted_setting, fitting_connections
from mailroom.ops.doctor import pooler
from mailroom.ops.doctor.findings import Finding, broken, budget, good, unknown, warning
from mailroom.ops.pooler import connect
from mailroom.settings import Settings
from mailroom.settings.urls import database_place, libpq_url

CHECK, MIGRATIONS, RIGHTS = gettext_noop("database"), gettext_noop("migrations"), gettext_noop("database rights")
CLOCK, CONNECTIONS = gettext_noop("clock"), gettext_noop("database connections")
OLDEST = 14
CLOCK_SECONDS = 5
SCRIPTS = migrations.scripts()
NEW_DATABASE = gettext_noop(
    "Make one with: createdb --encoding=UTF8 --template=template0 NAME; then `mailroom migrate`."
)
FORBIDDEN = """
select string_agg(relname, ', ' order by relname) from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'alembic_version'
    and not (has_table_privilege(oid, 'select') and has_table_privilege(oid, 'insert')
        and has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete'))
"""
UPGRADE = gettext_noop("Run `mailroom migrate` (the release line of the Procfile).")

ABOUT = f"""
select current_setting('server_version') as version,
    current_setting('server_version_num')::int / 10000 as major,
    current_setting('server_encoding') as encoding,
    pg_is_in_recovery() as standby,
    clock_timestamp() as now,
    to_regclass('alembic_version') is not null as migrated,
    {ROOM}
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
    """Check DATABASE_URL, and what depends on it."""
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
            *await pooler.check(settings, connection, other),
            await _migrations(connection, server, load_apps(settings.mailroom_apps)),
            *await _rights(connection, settings),
            _clock(late),
            _connections(server, settings),
        ]


async def _connect(settings: Settings) -> PostgresConnection:
    return await connect(settings.database_url, name="mailroom doctor")


def where(settings: Settings) -> str:
    """Return host and database name: fit to show."""
    return database_place(settings.database_url)


def _server(server: Server, settings: Settings) -> Finding:
    title = gettext("PostgreSQL %(version)s at %(place)s", version=server.version, place=where(settings))
    if server.major < OLDEST:
        words = gettext("%(server)s is too old", server=title)
        return broken(CHECK, words, gettext("Mailroom needs %(version)s or later.", version=OLDEST))
    if server.standby:
        words = gettext("%(server)s is a standby, which takes no writes", server=title)
        return broken(CHECK, words, gettext("Name the primary in DATABASE_URL."))
    if server.encoding == "SQL_ASCII":
        words = gettext(
            "%(server)s has the encoding SQL_ASCII: it keeps bytes and does not know which letters they are",
            server=title,
        )
        return broken(CHECK, words, gettext(NEW_DATABASE))
    if server.encoding != "UTF8":
        words = gettext(
            "%(server)s keeps its text as %(encoding)s: not every name can be kept",
            server=title,
            encoding=server.encoding,
        )
        return warning(CHECK, words, gettext(NEW_DATABASE))
    return good(CHECK, title)


async def _migrations(connection: "psycopg.AsyncConnection[Any]", server: Server, apps: Apps) -> Finding:
    heads, known = await asyncio.to_thread(_revisions, apps)
    if not heads:
        words = gettext("the migrations are not beside the program (%(folder)s), so nobody knows", folder=SCRIPTS)
        return unknown(MIGRATIONS, words)
    if not server.migrated:
        return broken(MIGRATIONS, gettext("the database has no tables of Mailroom's yet"), gettext(UPGRADE))
    rows = await (await connection.execute("select version_num from alembic_version")).fetchall()
    applied = {str(row[0]) for row in rows}
    if applied == heads:
        return good(MIGRATIONS, gettext("at head (%(heads)s)", heads=", ".join(sorted(heads))))
    if applied - known:
        words = gettext(
            "the database was migrated by another version of Mailroom, or for an app not here (%(revisions)s)",
            revisions=", ".join(sorted(applied - known)),
        )
        return broken(
            MIGRATIONS, words, gettext("Run the version of Mailroom, and install the apps, that go with it.")
        )
    words = gettext(
        "the database is at %(applied)s, this version needs %(heads)s",
        applied=", ".join(sorted(applied)) or gettext("nothing"),
        heads=", ".join(heads),
    )
    return broken(MIGRATIONS, words, gettext(UPGRADE))


def _revisions(apps: Apps) -> tuple[set[str], set[str]]:
    """Return the newest migrations and all migrations; none if their folder is not installed."""
    if not SCRIPTS.is_dir():
        return set(), set()
    scripts = migrations.script_directory(apps)
    return set(scripts.get_heads()), {script.revision for script in scripts.walk_revisions()}


async def _rights(connection: "psycopg.AsyncConnection[Any]", settings: Settings) -> list[Finding]:
    """Tell which tables this user may not use: somebody else may have migrated."""
    row = await (await connection.execute(FORBIDDEN)).fetchone()
    if not row or not row[0]:
        return []
    user = connection.info.user
    words = gettext(
        "the user %(user)s may not read and write all tables of %(place)s: %(tables)s",
        user=user,
        place=where(settings),
        tables=row[0],
    )
    grant = f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{user}";'
    return [broken(RIGHTS, words, gettext("As their owner: %(command)s", command=grant))]


def _clock(late: float) -> Finding:
    if abs(late) <= CLOCK_SECONDS:
        return good(CLOCK, gettext("this machine and the database agree"))
    seconds = f"{abs(late):.0f}"
    if late > 0:
        words = gettext("this machine is %(seconds)s s ahead of the database", seconds=seconds)
    else:
        words = gettext("this machine is %(seconds)s s behind the database", seconds=seconds)
    advice = gettext("Let both follow a time server (NTP). Until then people see wrong times.")
    return warning(CLOCK, words, advice)


def _connections(server: Server, settings: Settings) -> Finding:
    setting, each = fitted_setting(settings).upper(), fitting_connections(settings, server.connections)
    return budget(CONNECTIONS, settings, setting, available=server.connections, each=each)
