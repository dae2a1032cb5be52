"""What operators do with alerts, on the desk, in the shell and over the API. Each act is in the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from mailroom.desk.alerts.book import end_silence, silence
from mailroom.desk.alerts.teller import Teller
from mailroom.desk.audit_log import Actor, AuditLog
from mailroom.kit.database import Database

LONGEST_SILENCE = 24 * 30
"""Hours."""


@dataclass(frozen=True, slots=True)
class Tested:
    """The addresses of a test alert, and what went wrong; None if the mail server took it."""

    to: Sequence[str]
    problem: str | None


async def change_silence(database: Database, log: AuditLog, actor: Actor, rule: str, hours: int) -> None:
    """Silence a rule's alerts for some hours; 0 ends its silence. Raises `Unavailable`.

    `rule` is one of `RULES`, or `ALL`.
    """
    async with database.begin() as work:
        if hours:
            await silence(work, rule, timedelta(hours=hours), actor.name)
        else:
            await end_silence(work, rule)
        action = "alert.silenced" if hours else "alert.unsilenced"
        await log.write(work, actor, action, target="alert", target_id=rule, details={"hours": hours})


async def send_test(database: Database, log: AuditLog, actor: Actor, teller: Teller) -> Tested:
    """Mail a test alert now, in the way that alerts are mailed. Raises `Unavailable`."""
    to = await teller.addresses()
    problem = await teller.test(to) if to else "nobody to tell"
    async with database.begin() as work:
        details = {"to": len(to), "problem": problem or ""}
        await log.write(work, actor, "alert.tested", target="alert", details=details)
    return Tested(to, problem)
