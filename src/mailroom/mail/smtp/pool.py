"""The connections of one process to the mail server: kept open, reused, limited; and the circuit breaker."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime

from mailroom.kit import clock
from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.smtp.acceptance import AcceptanceTimes
from mailroom.mail.smtp.connection import ServerTrouble, SmtpConnection, Timeouts
from mailroom.mail.smtp.pipelining import Pipelining
from mailroom.mail.smtp.sign_ins import SignIns
from mailroom.mail.states import Reason
from mailroom.settings import SMTPServer

logger = logging.getLogger(__name__)

PROBE_EVERY = 2.0
"""Seconds between two probes of the mail server while the circuit is open."""

CROWDED_FOR = 10.0
"""Seconds without a further connection being tried, after the server refused one while others were open."""


STALLED_AFTER = 10.0
"""Seconds without a reply after which a connection no longer counts against the limit."""
WATCH_EVERY = 1.0
"""Seconds between two looks for such connections."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Why the circuit is open, and since when."""

    result: DeliveryResult
    since: datetime = field(default_factory=clock.now)


class CircuitOpen(Exception):
    """The circuit is open: mails wait until a probe reaches the mail server again."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(outage.result.reason)
        self.outage = outage


class Pool:
    """Lends at most `limit` connections. While all are lent, borrowers wait, first come first served.

    A connection sends at most `mails_each` mails, and is closed after `idle` seconds without one (some servers
    close after 10). A lent connection whose server has said nothing for `STALLED_AFTER` seconds keeps its mail, as
    RFC 5321 §4.5.3.2 asks, but another one may be made in its place, up to `limit` of them: if a network drops
    connections silently, mails go on over new ones.

    When no connection can be made and none is open, the circuit opens: each waiting borrower gets
    `CircuitOpen` at once, a probe tries every `PROBE_EVERY` seconds, and `on_recovery` is called when it succeeds.
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
        sign_ins: SignIns | None = None,
    ) -> None:
        self.server = server
        self.outage: Outage | None = None
        self._timeouts = timeouts
        self._pipelining, self._acceptances = Pipelining(server), AcceptanceTimes()
        self._sign_ins = sign_ins
        self._hostname = hostname
        self.limit = limit
        self._mails_each = mails_each
        self._idle_seconds = idle
        self.on_recovery = on_recovery
        self.on_stall: Callable[[], None] | None = None
        """Called while lent connections are stalled: their borrowers may be replaced."""
        self._open: set[SmtpConnection] = set()
        self._opening: dict[object, float] = {}
        self._watching = False
        self._idle: deque[tuple[float, SmtpConnection]] = deque()
        self._lent = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._crowded_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._reaping = False
        self._closed = False
        self.tls_version: str | None = None
        self.certificate_ends: str | None = None
        """As in the newest `SmtpConnection`."""

    @property
    def open_connections(self) -> int:
        """How many connections there are, lent or idle."""
        return len(self._open)

    def give_back(self, connection: SmtpConnection) -> None:
        """Return a borrowed connection."""
        self._take_back(connection)
        self._end_turn()

    def spares(self, connection: SmtpConnection) -> bool:
        """Return whether the borrower may keep this connection for one more mail: it is good and nobody waits."""
        return self._good(connection) and not self._waiting

    def _good(self, connection: SmtpConnection) -> bool:
        fresh = connection.mails < self._mails_each and not connection.has_pending_replies
        return connection.usable and fresh and not self._closed

    async def borrow(self) -> SmtpConnection:
        """Return a connection; wait for one while all are lent. Raises `CircuitOpen`."""
        while True:
            await self._turn()
            if not self._watching:
                self._watching = True
                self._start(self._watch())
            try:
                return self._rested() or await self._connect()
            except ServerTrouble as trouble:
                if not self._open:
                    self._break(trouble.result)
                    raise CircuitOpen(self.outage or Outage(trouble.result)) from trouble
                # The server keeps the connections it has but accepts no further one: share those for a while.
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
        return self.limit + self.stalled

    @property
    def stalled(self) -> int:
        """How many lent connections have waited long for their server, `limit` at most."""
        began_before = time.monotonic() - STALLED_AFTER
        silent = sum(connection.silent_for > STALLED_AFTER for connection in self._open)
        return min(self.limit, silent + sum(began < began_before for began in self._opening.values()))

    async def _watch(self) -> None:
        """Give the turns of stalled connections to others, as long as any connection is lent."""
        while self._lent and not self._closed:
            await asyncio.sleep(WATCH_EVERY)
            if self.stalled:
                self._give_turns()
                if self.on_stall:
                    self.on_stall()
        self._watching = False

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
                self._end_turn()  # this borrower got a turn and does not use it
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

    def _rested(self) -> SmtpConnection | None:
        while self._idle:
            _, connection = self._idle.pop()
            if connection.usable:
                return connection
            self._open.discard(connection)
        return None

    def warm(self) -> None:
        """Begin to open a connection, so that the first mail need not wait and an outage is known at once."""
        self._start(self._warm())

    async def _warm(self) -> None:
        with contextlib.suppress(CircuitOpen):
            self.give_back(await self.borrow())

    async def _connect(self) -> SmtpConnection:
        opening = object()
        async with self._sign_ins.trying() if self._sign_ins else contextlib.nullcontext():
            self._opening[opening] = time.monotonic()
            try:
                connection = await SmtpConnection.open(
                    self.server, self._timeouts, self._hostname, self._pipelining, self._acceptances
                )
            finally:
                del self._opening[opening]
        self._open.add(connection)
        self.tls_version, self.certificate_ends = connection.tls_version, connection.certificate_ends
        return connection

    def _take_back(self, connection: SmtpConnection) -> None:
        if self._good(connection) and len(self._open) <= self.limit:
            self._idle.append((time.monotonic() + self._idle_seconds, connection))
            if not self._reaping:
                self._reaping = True
                self._start(self._reap())
            return
        self._open.discard(connection)
        if connection.usable:
            self._start(connection.quit())

    async def _reap(self) -> None:
        """Close connections that were idle too long; end when none is idle."""
        while self._idle:
            await asyncio.sleep(max(0.05, self._idle[0][0] - time.monotonic()))
            while self._idle and self._idle[0][0] <= time.monotonic():
                _, connection = self._idle.popleft()
                self._open.discard(connection)
                if connection.usable:
                    await connection.quit()
        self._reaping = False

    # -- the circuit

    def _break(self, result: DeliveryResult) -> None:
        """Open the circuit: refuse every waiting borrower, and begin to probe."""
        self._lent -= 1
        if self.outage is None:
            self.outage = Outage(result)
            # The process that tried to sign in has logged a refusal already.
            level = logging.INFO if result.reason is Reason.SIGN_IN and self._sign_ins else logging.WARNING
            logger.log(level, "mail server %s cannot be used: %s (%s)", self.server, result.reason, result.text)
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
                self.outage = Outage(trouble.result, self.outage.since)
                continue
            except Exception:  # of any kind: without a probe the circuit would stay open for ever
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
        """Send QUIT on every idle connection and stop probing. Lent connections close when they come back."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        resting = [connection for _, connection in self._idle if connection.usable]
        self._idle.clear()
        await asyncio.gather(*(connection.quit() for connection in resting))
