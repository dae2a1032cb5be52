"""Sends the mails of the bulk queue over one connection, one behind the other."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from functools import partial

from mailroom.mail.delivery.attempt import RunningAttempt
from mailroom.mail.delivery.attempt_recorder import ENDS_AN_ATTEMPT, AttemptRecorder
from mailroom.mail.delivery.bulk_queue import BulkQueue, QueuedMail
from mailroom.mail.delivery.envelopes import Envelopes
from mailroom.mail.delivery.rehearsal import rehearse
from mailroom.mail.kinds import UnknownKind
from mailroom.mail.ledger.claims import RecordedState
from mailroom.mail.rendering.renderer import BrokenMail, Envelope
from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.smtp.connection import NotStarted, SmtpConnection
from mailroom.mail.smtp.pool import Pool
from mailroom.mail.states import Reason

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that a mail waits behind the acceptance of another one. After that any other connection may have it."""

MOST_UNRECORDED = 64
"""Endings of all senders that may wait to be recorded; with more, a sender waits for its own. When a worker is
killed, so many of its mails become uncertain, in addition to those that its connections were handing over."""


@dataclass(slots=True)
class PipelinedMail:
    """The mail that goes next over the connection, chosen while the one before is on its way."""

    mail: QueuedMail
    timer: asyncio.TimerHandle
    envelope: Envelope | None = None
    """None if the mail cannot be rendered or has to be loaded first; then nothing of it was sent."""
    shared: bool = False
    """True once any other sender may have it, too."""


class BulkSender:
    """Takes mails from the queue and sends them, in a task of its own.

    It keeps its connection from mail to mail as long as nobody else waits for one. If the server allows
    pipelining (RFC 2920), MAIL and RCPT of the next mail follow right behind the content of the one before.
    """

    def __init__(self, queue: BulkQueue, recorder: AttemptRecorder, *, pool: Pool, envelopes: Envelopes) -> None:
        self._queue = queue
        self._recorder = recorder
        self._pool = pool
        self._envelopes = envelopes
        self._connection: SmtpConnection | None = None
        self._following: PipelinedMail | None = None
        self._pipelined: Envelope | None = None
        """The envelope of the current mail, if its MAIL and RCPT were sent behind the mail before."""

    async def run(self) -> None:
        """Send what waits, and wait for more, until cancelled."""
        try:
            while True:
                mail = self._take()
                if mail is None:
                    self._give_back_connection()
                    mail = await self._queue.get()
                await self._deliver(mail)
        finally:
            self._share_following()
            self._forget_following()
            self._give_back_connection()

    def _take(self) -> QueuedMail | None:
        """Take the mail that was pipelined, unless another sender has it; else the next one of the queue."""
        following, self._pipelined = self._following, None
        self._forget_following()
        if following and (not following.shared or self._queue.take_back(following.mail)):
            self._pipelined = following.envelope
            return following.mail
        return self._queue.next()

    # -- one mail

    async def _deliver(self, mail: QueuedMail) -> None:
        """Send a mail and begin to record how its attempt ended; the next mail need not wait for the recording."""
        recorder = self._recorder
        attempt = recorder.begin(mail.claim)
        try:
            try:
                result = await self._send(attempt)
            except ENDS_AN_ATTEMPT as error:
                result = recorder.result_of(attempt, error)
            recording = recorder.record(attempt, result)
        except BaseException as error:
            recorder.end(attempt)
            mail.message.end_one()
            if not isinstance(error, Exception):
                raise
            logger.exception("mail %s stopped on its way; its lease brings it back", mail.claim.id)
            return
        self._queue.unrecorded += 1
        recording.add_done_callback(partial(self._recorded, attempt, mail))
        if self._queue.unrecorded >= MOST_UNRECORDED:
            await asyncio.wait([recording])

    async def _send(self, attempt: RunningAttempt) -> DeliveryResult:
        recorder, pipelined = self._recorder, self._pipelined
        if recorder.stopping:
            return DeliveryResult(Reason.WORKER_LOST)
        if attempt.claim.suppressed:
            return DeliveryResult(Reason.SUPPRESSED)
        if attempt.claim.test:
            return await rehearse(recorder, attempt)
        if pipelined:
            return await self._send_envelope(attempt, pipelined, stay=True)
        async with self._envelopes.open(attempt.claim) as envelope:
            return await self._send_envelope(attempt, envelope, stay=False)

    async def _send_envelope(self, attempt: RunningAttempt, envelope: Envelope, *, stay: bool) -> DeliveryResult:
        recorder = self._recorder
        while True:
            connection = await self._connected(stay=stay)
            recorder.connected(attempt)
            try:
                return await connection.deliver(
                    envelope, lambda: recorder.may_hand_over(attempt), self._choose_following
                )
            except NotStarted:
                continue  # that connection has ended; the mail goes over another one

    def _recorded(
        self, attempt: RunningAttempt, mail: QueuedMail, recording: "asyncio.Future[RecordedState | None]"
    ) -> None:
        """End the attempt once its ending is recorded, or can no longer be recorded."""
        self._queue.unrecorded -= 1
        self._recorder.end(attempt)
        mail.message.end_one()
        if recording.cancelled():
            return
        if error := recording.exception():
            logger.error(
                "the end of mail %s is not recorded; its lease runs out", attempt.claim.id, exc_info=error
            )
            return
        self._recorder.show_end(attempt, recording.result())

    # -- the connection

    async def _connected(self, *, stay: bool) -> SmtpConnection:
        """Return the connection to send over; `stay` on it if the mail's MAIL and RCPT were sent there."""
        kept = self._connection
        if kept and not (kept.usable if stay else self._pool.spares(kept)):
            self._give_back_connection()
        if self._connection is None:
            self._connection = await self._pool.borrow()
        return self._connection

    def _give_back_connection(self) -> None:
        if self._connection:
            self._pool.give_back(self._connection)
            self._connection = None

    # -- the mail that follows

    def _choose_following(self) -> Envelope | None:
        """Choose the mail that goes next over this connection; return its envelope, None if there is none."""
        assert self._connection
        if not self._pool.spares(self._connection):
            return None
        chosen = self._queue.next_new()
        if chosen is None:
            return None
        timer = asyncio.get_running_loop().call_later(PATIENCE, self._share_following)
        following = self._following = PipelinedMail(chosen, timer)
        with contextlib.suppress(BrokenMail, UnknownKind):  # its own attempt meets that error again
            following.envelope = self._envelopes.at_once(chosen.claim)
        return following.envelope

    def _share_following(self) -> None:
        """Let any sender have the mail that follows, since the one before takes long."""
        if self._following and not self._following.shared:
            self._following.shared = True
            self._queue.put_back(self._following.mail)

    def _forget_following(self) -> None:
        if self._following:
            self._following.timer.cancel()
            self._following = None
