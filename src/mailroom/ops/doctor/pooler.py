"""Which pooler is in front of PostgreSQL, and whether connections that need a session bypass it."""

from typing import Any

import psycopg

from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.ops.database_errors import explain
from mailroom.ops.doctor.findings import Finding, broken, good, unknown
from mailroom.ops.pooler import Pooling, connect, pooling
from mailroom.settings import Settings
from mailroom.settings.urls import database_place

CHECK = gettext_noop("database pooler")
WHICH = "select pg_postmaster_start_time(), oid from pg_database where datname = current_database()"
Connection = psycopg.AsyncConnection[Any]


async def check(settings: Settings, one: Connection, other: Connection) -> list[Finding]:
    """Tell which pooler is in front, given two connections to DATABASE_URL in autocommit."""
    try:
        found = await pooling(one, other)
    except psycopg.Error as error:
        return [unknown(CHECK, str(explain(error, settings.database_url)))]
    if found is Pooling.STATEMENT:
        words = gettext("a pooler refuses transactions (PgBouncer calls that pool_mode = statement)")
        return [broken(CHECK, words, gettext("Set pool_mode = session or transaction for Mailroom's database."))]
    if settings.database_direct_url:
        return await _direct(settings, found, one)
    if found is Pooling.TRANSACTION:
        words = gettext(
            "a pooler gives each transaction another connection (PgBouncer calls that pool_mode = transaction); "
            "prepared statements and locks are lost by that"
        )
        advice = gettext(
            "Set DATABASE_DIRECT_URL to the address of PostgreSQL itself, or set pool_mode = session for "
            "Mailroom's database."
        )
        return [broken(CHECK, words, advice)]
    if found is Pooling.SESSION:
        return [good(CHECK, gettext("a pooler stands in front and keeps sessions"))]
    return []


async def _direct(settings: Settings, front: Pooling, one: Connection) -> list[Finding]:
    """Tell whether DATABASE_DIRECT_URL leads to the same database, and keeps sessions."""
    url = settings.database_direct_url
    place = database_place(url)
    try:
        async with await _connect(url) as third, await _connect(url) as fourth:
            behind = await pooling(third, fourth)
            theirs = await _which(third)
        ours = await _which(one)
    except psycopg.Error as error:
        words, advice = explain(error, url)
        return [broken(CHECK, f"DATABASE_DIRECT_URL: {words}", advice)]
    if ours != theirs:
        words = gettext("DATABASE_DIRECT_URL (%(place)s) is another database than DATABASE_URL's", place=place)
        return [broken(CHECK, words, gettext("Let both name the same database of the same server."))]
    if behind.breaks_sessions:
        words = gettext(
            "DATABASE_DIRECT_URL (%(place)s) leads to a pooler that gives each transaction another connection",
            place=place,
        )
        return [broken(CHECK, words, gettext("Name PostgreSQL itself in DATABASE_DIRECT_URL."))]
    if front is Pooling.TRANSACTION:
        words = gettext(
            "a pooler gives each transaction another connection; what needs a session goes to %(place)s",
            place=place,
        )
    else:
        words = gettext("nothing in front breaks sessions apart; DATABASE_DIRECT_URL is not needed")
    return [good(CHECK, words)]


async def _connect(url: str) -> Connection:
    return await connect(url, name="mailroom doctor")


async def _which(connection: Connection) -> Any:
    return await (await connection.execute(WHICH, prepare=False)).fetchone()
