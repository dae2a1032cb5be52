"""Runs all checks at once, each within its time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from mailroom.i18n.messages import gettext
from mailroom.ops.doctor import (
    addresses,
    alerts,
    branding,
    database,
    mail_server,
    providers,
    redis_servers,
    restore,
    workers,
)
from mailroom.ops.doctor.daemons import Daemons
from mailroom.ops.doctor.findings import Finding, broken, quoted
from mailroom.ops.entrypoints import Entrypoints
from mailroom.settings import Settings

PATIENCE = 8.0
"""Seconds a check may take."""

Check = Callable[[Settings], Awaitable[list[Finding]]]


def examine(settings: Settings, entrypoints: Entrypoints) -> list[Finding]:
    """Return what all checks found, in their order. Takes hardly longer than `PATIENCE`."""
    checks: Mapping[str, Check] = {
        "settings": addresses.check,
        branding.CHECK: branding.check,
        database.CHECK: database.check,
        restore.CHECK: restore.check,
        "redis": redis_servers.check,
        mail_server.CHECK: mail_server.check,
        workers.CHECK: workers.check(entrypoints),
        providers.CHECK: providers.check,
        alerts.CHECK: alerts.check,
    }

    async def run() -> list[Finding]:
        asyncio.get_running_loop().set_default_executor(Daemons())
        found = await asyncio.gather(*(_bounded(name, check, settings) for name, check in checks.items()))
        return [finding for findings in found for finding in findings]

    return asyncio.run(run())


async def _bounded(name: str, check: Check, settings: Settings) -> list[Finding]:
    try:
        async with asyncio.timeout(PATIENCE):
            return await check(settings)
    except TimeoutError:
        advice = gettext(
            "The server may hang, or something on the way may swallow what is sent (a firewall does that)."
        )
        return [broken(name, gettext("no answer within %(seconds)s s", seconds=round(PATIENCE)), advice)]
    except Exception as error:  # a check that stumbles must not hide what the others found
        told = f"{type(error).__name__}: {quoted(error, settings)}"
        return [broken(name, gettext("the check itself failed: %(error)s", error=told))]
