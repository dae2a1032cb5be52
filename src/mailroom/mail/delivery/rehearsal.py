"""Test mails: they go through every stage and get a row for each attempt, but reach no mail server."""

from mailroom.mail.delivery.attempt import RunningAttempt
from mailroom.mail.delivery.attempt_recorder import AttemptRecorder
from mailroom.mail.messages.store import outcome_of_test
from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.smtp.connection import Undelivered
from mailroom.mail.states import Reason, State

RESULTS = {
    State.SENT: DeliveryResult(None, 250, "2.0.0", "a test: taken by no mail server"),
    State.FAILED: DeliveryResult(Reason.REFUSED, 550, "5.1.1", "a test: there is no such mailbox"),
    State.SUPPRESSED: DeliveryResult(Reason.SUPPRESSED),
}
"""How a test mail is to end → the result that ends it so."""


async def rehearse(recorder: AttemptRecorder, attempt: RunningAttempt) -> DeliveryResult:
    """Take a test mail through its stages; return how it ends."""
    result = RESULTS[outcome_of_test(attempt.claim.recipient)]
    recorder.connected(attempt)
    if result.reason is None and not await recorder.may_hand_over(attempt):
        raise Undelivered(DeliveryResult(Reason.WORKER_LOST))
    return result
