"""A single mail: one attempt, over the first connection that is free."""

from mailroom.mail.delivery.attempt import RunningAttempt
from mailroom.mail.delivery.attempt_recorder import ENDS_AN_ATTEMPT, AttemptRecorder
from mailroom.mail.delivery.envelopes import Envelopes
from mailroom.mail.delivery.rehearsal import rehearse
from mailroom.mail.ledger.claims import Claim
from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.smtp.connection import NotStarted
from mailroom.mail.smtp.pool import Pool
from mailroom.mail.states import Reason
from mailroom.progress.snapshot import Snapshot


class AttemptRunner:
    """Sends claimed mails, each in the task that asks for it."""

    def __init__(self, recorder: AttemptRecorder, *, pool: Pool, envelopes: Envelopes) -> None:
        self._recorder = recorder
        self._pool = pool
        self._envelopes = envelopes

    async def run(self, claim: Claim) -> Snapshot | None:
        """Send the mail and record how the attempt ended.

        Returns the mail's state after that, None if another attempt decides it.
        """
        recorder = self._recorder
        attempt = recorder.begin(claim)
        try:
            try:
                result = await self._send(attempt)
            except ENDS_AN_ATTEMPT as error:
                result = recorder.result_of(attempt, error)
            return recorder.show_end(attempt, await recorder.record(attempt, result))
        finally:
            recorder.end(attempt)

    async def _send(self, attempt: RunningAttempt) -> DeliveryResult:
        recorder = self._recorder
        if recorder.stopping:  # the stop was asked for while the mail was being claimed
            return DeliveryResult(Reason.WORKER_LOST)
        if attempt.claim.suppressed:
            return DeliveryResult(Reason.SUPPRESSED)
        if attempt.claim.test:
            return await rehearse(recorder, attempt)
        async with self._envelopes.open(attempt.claim) as envelope:
            while True:
                connection = await self._pool.borrow()
                try:
                    recorder.connected(attempt)
                    return await connection.deliver(envelope, lambda: recorder.may_hand_over(attempt))
                except NotStarted:
                    continue
                finally:
                    self._pool.give_back(connection)
