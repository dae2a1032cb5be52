"""Runs the part of a command that needs the services. They are wired for it alone, and closed after it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import psycopg.errors
from sqlalchemy.exc import ProgrammingError

from mailroom.kit.errors import MailroomError, Unavailable
from mailroom.mail.ledger.liveness import new_name
from mailroom.ops import startup
from mailroom.ops.database_errors import UNUSABLE, explain
from mailroom.ops.entrypoints import Entrypoints
from mailroom.ops.observability import logs
from mailroom.services import Services

Result = TypeVar("Result")
OUT_OF_DATE = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)


class NotMigrated(MailroomError):
    """The database does not have Mailroom's tables as this version needs them."""

    message_code = "cli.error.not_migrated"


class NotAllowed(MailroomError):
    """The database user lacks a right."""


def with_services(entrypoints: Entrypoints, work: Callable[[Services], Awaitable[Result]]) -> Result:
    """Return what `work` returns. Raises `SettingsError`, `Unavailable`, `NotMigrated` and what `work` raises."""
    settings = startup.settings()
    logs.configure("warning", new_name())
    return asyncio.run(_run(entrypoints.services(settings), work))


async def _run(services: Services, work: Callable[[Services], Awaitable[Result]]) -> Result:
    try:
        return await work(services)
    except ProgrammingError as error:
        if isinstance(error.orig, OUT_OF_DATE):
            raise NotMigrated from None
        if isinstance(error.orig, UNUSABLE):
            raise NotAllowed(str(explain(error.orig, services.settings.database_url))) from None
        raise
    finally:
        if services.counters.changed:
            with suppress(Unavailable, ProgrammingError):
                await services.counters.write(services.database, new_name())
        await services.database.close()
