"""The connections of one process to the mail server: kept, reused, limited; and the circuit over them."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime

from mailroom.kit import clock
from mailroom.mail.retry_policy import Answer
from mailroom.mail.smtp.connection import Connection, ServerTrouble, Timeouts
from mailroom.settings import SMTPServer

logger = logging.getLogger(__name__)

PROBE_EVERY = 2.0
"""Seconds between looks at a mail server whose circuit is open."""

CROWDED_FOR = 10.0
"""Seconds for which no further connection is tried where the server refused one more."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Why the circuit is open, and since when."""

    answer: Answer
    since: datetime = field(default_factory=clock.now)


class CircuitOpen(Exception):
    """The mail server cannot be used; mails wait until a probe reaches it again."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(outage.answer.reason)
        self.outage = outage


class Pool:
    """At most `limit` connections; whoever comes when all are busy waits for its turn, first come first served.

    A connection is used for at most `mails_each` mails and closed after `idle` seconds of rest (some servers
    close after 10). When none can be had and none is in use, the circuit opens: everyone waiting is told at
    once, a probe tries every few seconds, and `on_recovery` is called when it succeeds.
    """

    def __init__(
        self,
        server: SMTPServer,
        *,
        timeouts: Timeouts,
        hostname: str,
        limit: int,
        mails_each: int = 100,
        idle: float = 5,
        on_recovery: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.server = server
        self.outage: Outage | None = None
        self._timeouts = timeouts
        self._hostname = hostname
        self.limit = limit
        self._mails_each = mails_each
        self._idle_seconds = idle
        self.on_recovery = on_recovery
        self._open: set[Connection] = set()
        self._idle: deque[tuple[float, Connection]] = deque()
        self._lent = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._crowded_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._reaping = False
        self._closed = False

    def give_back(self, connection: Connection) -> None:
        """Take a connection back that was lent."""
        self._take_back(connection)
        self._end_turn()

    def spares(self, connection: Connection) -> bool:
        """Tell whether who has this connection may keep it for one more mail: it is good, and nobody waits."""
        return self._good(connection) and not self._waiting

    def _good(self, connection: Connection) -> bool:
        fresh = connection.mails < self._mails_each and not connection.has_pending_replies
        return connection.usable and fresh and not self._closed

    async def borrow(self) -> Connection:
        """Lend a connection, waiting for a turn if need be. Raises `CircuitOpen`."""
        while True:
            await self._turn()
            try:
                return self._rested() or await self._connect()
            except ServerTrouble as trouble:
                if not self._open:
                    self._break(trouble.answer)
                    raise CircuitOpen(self.outage or Outage(trouble.answer)) from trouble
                # The server serves some of us, only not one more: wait for one of those for a while.
                self._crowded_until = time.monotonic() + CROWDED_FOR
                asyncio.get_running_loop().call_later(CROWDED_FOR, self._give_turns)
                self._end_turn()
            except BaseException:
                self._end_turn()
                raise

    # -- turns

    @property
    def _turns(self) -> int:
        if time.monotonic() < self._crowded_until:
            return max(1, min(self.limit, len(self._open)))
        return self.limit

    async def _turn(self) -> None:
        if self.outage:
            raise CircuitOpen(self.outage)
        if self._lent < self._turns and not self._waiting:
            self._lent += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._end_turn()  # it had been given a turn that it will not take
            raise

    def _end_turn(self) -> None:
        self._lent -= 1
        self._give_turns()

    def _give_turns(self) -> None:
        while self._waiting and self._lent < self._turns:
            turn = self._waiting.popleft()
            if not turn.done():
                self._lent += 1
                turn.set_result(None)

    # -- connections

    def _rested(self) -> Connection | None:
        while self._idle:
            _, connection = self._idle.pop()
            if connection.usable:
                return connection
            self._open.discard(connection)
        return None

    def warm(self) -> None:
        """Begin to open a connection: no first mail waits for it, and a server that is away is known at once."""
        self._start(self._warm())

    async def _warm(self) -> None:
        with contextlib.suppress(CircuitOpen):
            self.give_back(await self.borrow())

    async def _connect(self) -> Connection:
        connection = await Connection.open(self.server, self._timeouts, self._hostname)
        self._open.add(connection)
        return connection

    def _take_back(self, connection: Connection) -> None:
        if self._good(connection):
            self._idle.append((time.monotonic() + self._idle_seconds, connection))
            if not self._reaping:
                self._reaping = True
                self._start(self._reap())
            return
        self._open.discard(connection)
        if connection.usable:
            self._start(connection.quit())

    async def _reap(self) -> None:
        """Close connections that rested too long, while there are any."""
        while self._idle:
            await asyncio.sleep(max(0.05, self._idle[0][0] - time.monotonic()))
            while self._idle and self._idle[0][0] <= time.monotonic():
                _, connection = self._idle.popleft()
                self._open.discard(connection)
                if connection.usable:
                    await connection.quit()
        self._reaping = False

    # -- the circuit

    def _break(self, answer: Answer) -> None:
        """Open the circuit: tell everyone who waits, and begin to probe."""
        self._lent -= 1
        if self.outage is None:
            self.outage = Outage(answer)
            logger.warning("mail server %s cannot be used: %s (%s)", self.server, answer.reason, answer.text)
            self._start(self._probe())
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(CircuitOpen(self.outage))

    async def _probe(self) -> None:
        while self.outage and not self._closed:
            await asyncio.sleep(PROBE_EVERY)
            try:
                connection = await self._connect()
            except ServerTrouble as trouble:
                self.outage = Outage(trouble.answer, self.outage.since)
                continue
            except Exception:  # whatever it is, the circuit must not stay open for want of a probe
                logger.exception("a probe of mail server %s failed; the next one tries again", self.server)
                continue
            logger.warning("mail server %s is back after %s", self.server, clock.now() - self.outage.since)
            self.outage = None
            self._take_back(connection)
            if self.on_recovery:
                await self.on_recovery()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Say goodbye on every resting connection and stop probing; those in use close as they come back."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        resting = [connection for _, connection in self._idle if connection.usable]
        self._idle.clear()
        await asyncio.gather(*(connection.quit() for connection in resting))
