"""What becomes of a mail after an attempt."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mailroom.mail.retry_policy import MOST_CRASHES, DeliveryResult, decide, wait
from mailroom.mail.states import MOVES, Reason, Stage, State

YOUNG = {"age": timedelta(seconds=1), "expires_in": timedelta(hours=47)}
OLD = {"age": timedelta(hours=48), "expires_in": timedelta(seconds=-1)}


def test_an_accepted_mail_is_sent() -> None:
    assert decide(Stage.HANDING_OVER, DeliveryResult(code=250), **YOUNG).state == State.SENT


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.BROKEN])
def test_a_refusal_for_good_ends_it_at_once(reason: Reason) -> None:
    assert decide(Stage.CLAIMED, DeliveryResult(reason), **YOUNG).state == State.FAILED


@pytest.mark.parametrize(
    "reason",
    [
        Reason.DEFERRED,
        Reason.UNREACHABLE,
        Reason.TLS,
        Reason.SIGN_IN,
        Reason.DISCONNECTED,
        Reason.UNKNOWN_KIND,
    ],
)
def test_trouble_that_may_pass_is_waited_out_until_the_mail_is_too_old(reason: Reason) -> None:
    now = decide(Stage.CLAIMED, DeliveryResult(reason), **YOUNG)
    assert now.state == State.RETRYING
    assert now.retry_in is not None
    assert now.retry_in >= 9
    assert decide(Stage.CLAIMED, DeliveryResult(reason), **OLD).state == State.EXPIRED


@pytest.mark.parametrize("reason", [Reason.NO_ANSWER, Reason.WORKER_LOST])
def test_silence_after_the_handing_over_is_uncertain_however_old(reason: Reason) -> None:
    for ages in (YOUNG, OLD):
        assert decide(Stage.HANDING_OVER, DeliveryResult(reason), **ages).state == State.UNCERTAIN


def test_a_lost_worker_before_the_handing_over_queues_it_again() -> None:
    assert decide(Stage.CLAIMED, DeliveryResult(Reason.WORKER_LOST), crashes=1, **YOUNG).state == State.QUEUED


@pytest.mark.parametrize("stage", [Stage.CLAIMED, Stage.HANDING_OVER])
def test_a_mail_that_ends_its_worker_again_and_again_is_given_up(stage: Stage) -> None:
    end = decide(stage, DeliveryResult(Reason.WORKER_LOST), crashes=MOST_CRASHES, **YOUNG)
    assert (end.state, end.reason) == (State.FAILED, Reason.CRASHED)


@given(
    stage=some.sampled_from([Stage.CLAIMED, Stage.HANDING_OVER]),
    reason=some.none() | some.sampled_from(sorted(Reason)),
    age=some.timedeltas(timedelta(0), timedelta(days=30)),
    left=some.timedeltas(timedelta(days=-30), timedelta(days=2)),
    crashes=some.integers(0, 10),
)
def test_every_decision_is_a_move_of_the_state_machine(
    stage: Stage, reason: Reason | None, age: timedelta, left: timedelta, crashes: int
) -> None:
    end = decide(stage, DeliveryResult(reason), age=age, expires_in=left, crashes=crashes)
    assert end.state in MOVES[State.SENDING]
    assert (end.retry_in is not None) == (end.state in {State.RETRYING, State.UNCERTAIN})


def test_an_answer_that_is_lost_again_and_again_is_waited_for_longer_and_then_left_to_a_person() -> None:
    lost, at = DeliveryResult(Reason.NO_ANSWER), Stage.HANDING_OVER
    waits = [decide(at, lost, uncertain=times, **YOUNG).retry_in for times in range(7)]
    *tried, last, more = waits
    assert last is None and more is None
    assert tried[0] == 0, "the first time the mail is sent again at once"
    assert all(4 * one <= two for one, two in pairwise(tried))  # type: ignore[operator]


def test_a_kind_that_holds_is_never_sent_again_by_itself() -> None:
    end = decide(Stage.HANDING_OVER, DeliveryResult(Reason.NO_ANSWER), on_uncertain="hold", **YOUNG)
    assert (end.state, end.retry_in) == (State.UNCERTAIN, None)


def test_waiting_grows_with_age_and_never_beyond_an_hour() -> None:
    assert 9 <= wait(Reason.DEFERRED, timedelta(0)) <= 11
    assert 500 <= wait(Reason.DEFERRED, timedelta(minutes=20)) <= 700
    assert wait(Reason.DEFERRED, timedelta(days=2)) <= 3960
