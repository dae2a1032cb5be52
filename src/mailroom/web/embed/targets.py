"""What a watch token opens, for the origin that asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from mailroom.api_keys.watch_tokens import WatchTarget, WrongWatchToken
from mailroom.i18n.sentences import in_words
from mailroom.kit.ids import parse_id
from mailroom.mail.messages.views import ORDER, last_event
from mailroom.progress.snapshot import NO_NEWS, Snapshot
from mailroom.services import Services

# Everything that is checked for a token, in one statement: whether the key is valid, its origins, and the Celery
# tasks behind the token (for a message, its mails).
LOOK_UP = """
select k.origins, case %(kind)s
    when 'message' then array(select id::text from mails where message_id = %(id)s order by id)
    when 'mail' then array(select id::text from mails where id = %(id)s)
    else array(select celery_id from external_tasks where id = %(id)s and key_id = k.id)
end as tasks
from api_keys k
where k.id = %(key_id)s and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
"""


class ForbiddenOrigin(Exception):
    """The page that asks has an origin that the key does not allow."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A token that was checked: what it opens, and the tasks behind that."""

    token: str
    target: WatchTarget
    tasks: Sequence[UUID]
    origins: Sequence[str]

    def public(self, snapshots: Mapping[UUID, Snapshot]) -> dict[str, Any]:
        """Return what watchers are told: where a mail or task is; for a message, how many mails are in each state.

        It has no address and no words of a mail server.
        """
        if self.target.kind == "message":
            return self._of_message(snapshots)
        snapshot = snapshots[self.tasks[0]]
        body = in_words(snapshot.public())
        body.pop("task")
        return {"object": self.target.kind, **body}

    def _of_message(self, snapshots: Mapping[UUID, Snapshot]) -> dict[str, Any]:
        states = [snapshots[task].state for task in self.tasks]
        known = [state for state in states if state in ORDER]
        return {
            "object": "message",
            "state": min(known, key=ORDER.index) if known else NO_NEWS,
            "last_event": last_event(known),
            "counts": {state: states.count(state) for state in dict.fromkeys(states)},
            "total": len(self.tasks),
            "final": bool(states) and all(snapshots[task].final for task in self.tasks),
        }


async def open_token(have: Services, token: str, origin: str | None) -> Opened:
    """Return what a token opens for a page of this origin (none: no browser).

    Raises `WrongWatchToken` (also where the key was revoked), `ForbiddenOrigin`, `Unavailable`.
    """
    target = have.watch_tokens.read(token)
    arguments = {"kind": target.kind, "id": target.id, "key_id": target.key_id}
    rows: list[Any] = await have.database.fetch(LOOK_UP, arguments)
    if not rows or not rows[0][1]:
        raise WrongWatchToken
    origins, tasks = rows[0]
    if not may_show(origin, origins, have.settings.public_url):
        raise ForbiddenOrigin
    found = [task_id for task in tasks if (task_id := parse_id(task))]
    if not found:
        raise WrongWatchToken
    return Opened(token, target, found, origins)


def may_show(origin: str | None, origins: Sequence[str], public_url: str) -> bool:
    """Tell whether a page of this origin may show what a key's tokens open: an origin of the key, or our own."""
    if origin is None:
        return True
    ours = urlsplit(public_url)
    return origin in origins or origin == f"{ours.scheme}://{ours.netloc}"
