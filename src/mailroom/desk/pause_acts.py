"""Pausing, as operators do it on the desk, in the shell and over the API: it is noted in the audit log."""

from collections.abc import Iterable, Mapping

from mailroom.desk.audit_log import Actor, AuditLog
from mailroom.kit.database import Database
from mailroom.mail.kinds import MailKind
from mailroom.mail.ledger import pauses
from mailroom.mail.ledger.pauses import What
from mailroom.mail.messages.draft import STREAMS
from mailroom.tasks.pauses import release_tasks


def names_to_pause(kinds: Iterable[MailKind]) -> Mapping[str, frozenset[str]]:
    """Return what can be paused, and by which names; all mails and background tasks have none."""
    none = frozenset({""})
    kind_names = frozenset(kind.name for kind in kinds)
    return {"all": none, "tasks": none, "stream": frozenset(STREAMS), "kind": kind_names}


async def change_pause(
    database: Database, log: AuditLog, actor: Actor, what: What, name: str, *, paused: bool
) -> bool:
    """Hold back what is named, or let it go again; False if nothing had to change. Raises `Unavailable`."""
    async with database.begin() as work:
        if paused:
            changed = await pauses.pause(work, what, name, actor.name)
        else:
            changed = await pauses.resume(work, what, name)
        if changed:
            subject, verb = "tasks" if what == "tasks" else "sending", "paused" if paused else "resumed"
            details = {"what": what, "name": name}
            await log.write(work, actor, f"{subject}.{verb}", target=what, target_id=name or None, details=details)
    if changed and what == "tasks" and not paused:
        await release_tasks(database)
    return changed
