"""Counts what became of attempts, and how long each of their stages took."""

from mailroom.mail.delivery.attempt import RunningAttempt
from mailroom.mail.ledger.claims import RecordedState
from mailroom.mail.states import FINAL, State
from mailroom.statistics import names
from mailroom.statistics.counters import Counters


class Tally:
    """Counts for one worker process."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def attempt_ended(self, attempt: RunningAttempt, recorded: RecordedState) -> None:
        """Count an attempt whose ending is recorded. The attempt that ended the mail counts the mail."""
        ending, claim, counters = attempt.ending, attempt.claim, self._counters
        assert ending is not None
        decision = ending.decision
        ours = recorded.state == decision.state and recorded.attempt == ending.attempt
        held = decision.state is State.UNCERTAIN and decision.retry_in is None
        outcome = names.HELD if held else str(decision.state)
        counters.add(names.ATTEMPTS, outcome)
        code = ending.result.code
        counters.add(names.REPLIES, f"{code // 100}xx" if code else "none")
        if claim.due_at:
            counters.observe(names.QUEUE_WAIT, (claim.claimed_at - claim.due_at).total_seconds(), claim.stream)
        now = recorded.changed_at
        if ours and (held or decision.state in FINAL):
            counters.add(names.ENDED, outcome)
        if attempt.connected_at:
            counters.observe(names.STAGE, (attempt.connected_at - claim.claimed_at).total_seconds(), "connect")
            if attempt.handing_over_at:
                envelope = attempt.handing_over_at - attempt.connected_at
                counters.observe(names.STAGE, envelope.total_seconds(), "envelope")
                if decision.state is State.SENT:
                    content = (now - attempt.handing_over_at).total_seconds()
                    counters.observe(names.STAGE, content, "content")
        if ours and decision.state is State.SENT:
            began = claim.wanted_at or claim.created_at
            counters.observe(names.TO_ACCEPTED, (now - began).total_seconds(), claim.stream)
