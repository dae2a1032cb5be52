"""One accepted websocket: what it watches, what it is told, and how it ends."""

import asyncio
import json
import logging
from collections import OrderedDict
from uuid import UUID

from quart import websocket

from mailroom.accounts.views import Session
from mailroom.i18n import languages
from mailroom.i18n.messages import gettext
from mailroom.i18n.sentences import in_words
from mailroom.kit.errors import Unavailable
from mailroom.kit.ids import parse_id
from mailroom.progress.snapshot import Snapshot
from mailroom.progress.subscription import Notice, Subscription
from mailroom.tasks.tickets import TicketOwner
from mailroom.web.live.protocol import Allowance, parse
from mailroom.web.live.ticket_owners import TicketOwners
from mailroom.web.views.view_data import view_data
from mailroom.web.views.watching import may_read_answers, watcher_of

logger = logging.getLogger(__name__)

LIST = "tasks"
"""Watched like a ticket: the list of what the account owns. The client is told only that it has changed."""
DESK = "desk"
"""The same for the desk's overview, for those who have a role."""
MOST_TICKETS = 100
"""Tickets one socket may watch."""
MOST_UNKNOWN = 200
"""Unknown tickets one socket may ask for in its life: more are guesses."""
LONGEST_TICKET = 64
SEND_WITHIN = 10.0
"""Seconds a client may take to receive one message; a slower client is closed and may reconnect."""

# Close codes: RFC 6455 §7.4.1 and its registry; 44xx are ours, and final for the client.
RESTARTING = 1012
TRY_AGAIN_LATER = 1013
FAULT = 1011
MALFORMED = 4400
SESSION_ENDED = 4401
TOO_MUCH = 4429


class LiveSocket:
    """Always reads without delay; both the tickets asked for and the messages to send are bounded.

    It keeps the rights of its handshake: it gains none when the session signs in, and ends when that changes.
    """

    def __init__(
        self, session: Session, subscription: Subscription, holders: TicketOwners, *, views: bool = False
    ) -> None:
        self.session_id, self.standing = session.id, session.standing
        self.watcher = watcher_of(session)
        self.tasks: dict[UUID, TicketOwner] = {}
        """The owner of each ticket that it watches."""
        self.listing: str | None = None
        """The state of the list as it was last told; empty at first, None if the client does not watch it."""
        self.desk: str | None = None
        """The same for the desk's overview."""
        self._has_role = session.account is not None and session.account.role is not None
        self._subscription = subscription
        self._holders = holders
        self._views = views
        self._language = languages.current()
        self._allowance = Allowance()
        self._wanted: set[UUID] = set()
        self._lost: set[UUID] = set()
        self._asking: asyncio.Task[None] | None = None
        self._unknown = 0
        self._end: tuple[int, str] | None = None
        self._patience: asyncio.Timeout | None = None

    def close(self, code: int, reason: str) -> None:
        """Have the socket closed with this code; the first one counts."""
        if self._end is None:
            self._end = (code, reason)
            self._subscription.close()
            if self._patience and not self._patience.expired():
                self._patience.reschedule(asyncio.get_running_loop().time())

    def lose(self, ticket: UUID) -> None:
        """Stop watching a ticket that this browser may not watch any more."""
        self._drop(ticket)
        self._lost.add(ticket)
        with languages.speaking(self._language):  # the caller may use another language
            self._subscription.push(_unknown(str(ticket)))

    def tell_list(self, standing: str) -> None:
        """Tell the client the state of its list, unless it knows that."""
        if self.listing not in {None, standing}:
            self.listing = standing
            self._subscription.push(Notice(LIST, state="listed", message=standing))

    def tell_desk(self, standing: str) -> None:
        """Tell the client the state of the desk's overview, unless it knows that."""
        if self.desk not in {None, standing}:
            self.desk = standing
            self._subscription.push(Notice(DESK, state="listed", message=standing))

    async def run(self) -> None:
        """Serve until either side ends it."""
        receiving = asyncio.create_task(self._receive())
        try:
            await self._send()
            async with asyncio.timeout(1):
                await websocket.close(*(self._end or (FAULT, "")))
        except TimeoutError:
            pass  # it takes nothing any more; the connection is ended for it
        finally:
            self._subscription.close()
            for task in (receiving, self._asking):
                if task:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

    # -- to the client

    async def _send(self) -> None:
        async for snapshot in self._subscription:
            if self._end:
                return
            holder = self.tasks.get(snapshot.task) if isinstance(snapshot.task, UUID) else None
            text = _encode(
                snapshot,
                owner=holder is not None and may_read_answers(holder, self.watcher),
                view_of=holder if self._views else None,
            )
            try:
                async with asyncio.timeout(SEND_WITHIN) as self._patience:
                    await websocket.send(text)
            except TimeoutError:
                self._patience = None
                self.close(TRY_AGAIN_LATER, "too slow")
            self._patience = None

    # -- from the client

    async def _receive(self) -> None:
        try:
            while self._end is None:
                self._hear(await websocket.receive())
            while True:
                await websocket.receive()  # and drop it: the queue behind this is unbounded
        except Exception:
            logger.exception("a socket ended by a fault of ours")
            self.close(FAULT, "a fault of ours")

    def _hear(self, message: str | bytes) -> None:
        if not self._allowance.take():
            self.close(TOO_MUCH, "too many messages")
            return
        asked = parse(message)
        if asked is None:
            self.close(MALFORMED, 'send {"watch": [ticket]} or {"unwatch": [ticket]}')
            return
        for ticket in asked.unwatch:
            if ticket == LIST:
                self.listing = None
            elif ticket == DESK:
                self.desk = None
            elif task_id := parse_id(ticket):
                self._drop(task_id)
        for ticket in asked.watch:
            self._want(ticket)
        if len(self._wanted) + len(self.tasks) > MOST_TICKETS:
            self.close(TOO_MUCH, f"at most {MOST_TICKETS} tickets a socket")
        elif self._wanted and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())

    def _want(self, ticket: str) -> None:
        task_id = parse_id(ticket)
        if ticket == LIST and self.watcher.account_id is not None:
            self.listing = ""
        elif ticket == DESK and self._has_role:
            self.desk = ""
        elif task_id is None:
            self._refuse(ticket)
        elif task_id in self.tasks:
            self._subscription.push_again(task_id)  # answers a client that checks whether the connection is alive
        else:
            self._wanted.add(task_id)
            self._lost.discard(task_id)

    def _drop(self, ticket: UUID) -> None:
        self._wanted.discard(ticket)
        self._lost.discard(ticket)
        self.tasks.pop(ticket, None)
        self._subscription.unwatch([ticket])

    def _refuse(self, ticket: str) -> None:
        self._unknown += 1
        if self._unknown > MOST_UNKNOWN:
            self.close(TOO_MUCH, "too many unknown tickets")
        else:
            self._subscription.push(_unknown(ticket))

    async def _ask(self) -> None:
        """Watch the wanted tickets that this browser may see; tickets of others are answered like unknown ones."""
        try:
            while self._wanted:
                wanted = list(self._wanted)
                holders = await self._holders(wanted)
                for ticket in wanted:
                    if ticket not in self._wanted:
                        continue  # unwatched meanwhile
                    self._wanted.discard(ticket)
                    holder = holders.get(ticket)
                    if holder and holder.admits(self.watcher):
                        self.tasks[ticket] = holder
                    else:
                        self._refuse(str(ticket))
                self._lost.clear()
                await self._subscription.watch([ticket for ticket in wanted if ticket in self.tasks])
                self._forget(self._subscription.tasks - self.tasks.keys())
        except Unavailable:
            self.close(TRY_AGAIN_LATER, "database away")
        except Exception:
            logger.exception("a socket ended by a fault of ours")
            self.close(FAULT, "a fault of ours")

    def _forget(self, gone: set[UUID]) -> None:
        """Stop watching tickets unwatched or lost while they were looked up; report the lost ones as unknown."""
        self._subscription.unwatch(gone)  # this also drops what waits to be sent about them
        for ticket in gone & self._lost:
            self._subscription.push(_unknown(str(ticket)))


def _unknown(ticket: str) -> Notice:
    words = gettext("This task does not exist, or it is not yours.")
    return Notice(ticket[:LONGEST_TICKET], state="unknown", message=words, final=True)


_encoded: OrderedDict[tuple[int, bool, bool | None, str], tuple[Snapshot | Notice, str]] = OrderedDict()
"""The newest messages, by identity of their snapshot, so that many watchers share one encoding."""
_MOST_ENCODED = 256


def _encode(snapshot: Snapshot | Notice, *, owner: bool, view_of: TicketOwner | None) -> str:
    """Return the message, with the view for our own pages if `view_of`, the ticket's owner, is given."""
    is_mail = view_of.is_mail if view_of else None
    key = (id(snapshot), owner, is_mail, languages.current())
    known = _encoded.get(key)
    if known:
        return known[1]
    public = in_words(snapshot.public(owner=owner))
    if is_mail is not None:
        public = {**public, "view": view_data(public, is_mail=is_mail)}
    text = json.dumps(public, separators=(",", ":"))
    _encoded[key] = (snapshot, text)
    if len(_encoded) > _MOST_ENCODED:
        _encoded.popitem(last=False)
    return text
