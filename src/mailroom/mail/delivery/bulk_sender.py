"""A runner of a crowd: a connection, kept from mail to mail while nobody else waits for one."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailroom.mail.delivery.attempt import RunningAttempt
from mailroom.mail.delivery.bulk_queue import BulkQueue, Waiting
from mailroom.mail.ledger.claims import Claim
from mailroom.mail.rendering.renderer import BrokenMail, Envelope, Renderer
from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.smtp.connection import NotStarted, SmtpConnection
from mailroom.mail.smtp.pool import Pool

PATIENCE = 1.0
"""Seconds a mail waits behind another one's acceptance before any other connection may have it."""

Send = Callable[[RunningAttempt, Callable[[], Awaitable[bool]]], Awaitable[DeliveryResult]]
"""Sends a mail; the second is awaited just before its DATA."""


@dataclass(slots=True)
class PipelinedMail:
    """The mail that goes next over a connection, chosen while the one before is on its way."""

    mail: Waiting[Claim]
    alarm: asyncio.TimerHandle
    envelope: Envelope | None = None
    """None until the mail is introduced to the server: it could not be rendered, then."""
    shared: bool = False
    """Whether any other connection may have it, too."""


class BulkSender:
    """Carries mails of the crowd by `carry`, one after the other, while there are any.

    The next mail is introduced to the server behind the content of the one before (`SmtpConnection.deliver`).
    """

    def __init__(
        self,
        crowd: BulkQueue[Claim],
        carry: Callable[[Waiting[Claim], Send], Awaitable[None]],
        *,
        pool: Pool,
        renderer: Renderer,
        tell: Callable[[RunningAttempt], None],
    ) -> None:
        self._crowd = crowd
        self._carry = carry
        self._pool = pool
        self._renderer = renderer
        self._tell = tell
        self._connection: SmtpConnection | None = None
        self._introduced: Envelope | None = None
        """Of the mail that is carried, where it was introduced behind the one before."""
        self._following: PipelinedMail | None = None

    async def run(self) -> None:
        """Carry mails until none waits."""
        try:
            while this := self._take():
                await self._carry(this, self._send)
        finally:
            self._share()
            self._forget_following()
            self._leave()

    def _take(self) -> Waiting[Claim] | None:
        following, self._introduced = self._following, None
        self._forget_following()
        if following and (not following.shared or self._crowd.take_back(following.mail)):
            self._introduced = following.envelope
            return following.mail
        return self._crowd.next()

    async def _send(self, journey: RunningAttempt, may_hand_over: Callable[[], Awaitable[bool]]) -> DeliveryResult:
        introduced = self._introduced
        envelope = introduced or self._renderer.render(journey.claim.row)
        while True:
            connection = await self._connected(stay=introduced is not None)
            journey.connected_at = journey.now
            self._tell(journey)
            try:
                return await connection.deliver(envelope, may_hand_over, self._choose_following)
            except NotStarted:
                continue  # over another one: this one has ended

    async def _connected(self, *, stay: bool) -> SmtpConnection:
        kept = self._connection
        if kept and not (kept.usable if stay else self._pool.spares(kept)):
            self._leave()
        if self._connection is None:
            self._connection = await self._pool.borrow()
        return self._connection

    def _choose_following(self) -> Envelope | None:
        """Choose the mail that goes next over this connection, if there is one; return what introduces it."""
        assert self._connection
        if not self._pool.spares(self._connection):
            return None
        chosen = self._crowd.next_new()
        if chosen is None:
            return None
        following = PipelinedMail(chosen, asyncio.get_running_loop().call_later(PATIENCE, self._share))
        self._following = following
        with contextlib.suppress(BrokenMail):  # that is told when its turn has come
            following.envelope = self._renderer.render(chosen.mail.row)
        return following.envelope

    def _share(self) -> None:
        if self._following and not self._following.shared:
            self._following.shared = True
            self._crowd.put_back(self._following.mail)

    def _forget_following(self) -> None:
        if self._following:
            self._following.alarm.cancel()
            self._following = None

    def _leave(self) -> None:
        if self._connection:
            self._pool.give_back(self._connection)
            self._connection = None
