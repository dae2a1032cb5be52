from datetime import UTC, datetime

import pytest

from mailroom.i18n.sentences import in_words
from mailroom.mail.states import FINAL, Reason, Stage, State
from mailroom.mail.views import snapshot as snapshot_of
from mailroom.progress.snapshot import Snapshot
from mailroom.web.views import words
from mailroom.web.views.progress_view import clock_time, view_of

AT = "2026-11-24T12:00:05.000+00:00"


def timeline(*stages: str, attempt: int = 1) -> tuple[dict[str, object], ...]:
    return tuple({"stage": stage, "at": AT, "attempt": 0 if stage == "queued" else attempt} for stage in stages)


def statuses(snapshot: Snapshot) -> str:
    letters = {"done": "D", "now": "N", "problem": "P", "unsure": "U", "todo": "."}
    return "".join(letters[step.status] for step in view_of(snapshot.public()).steps)


def test_there_are_words_for_every_state_and_stage() -> None:
    assert set(words.STATES) >= {str(state) for state in State}
    assert list(words.STEPS)[1:] == [str(stage) for stage in Stage]
    assert set(words.STAGES) == {str(stage) for stage in Stage}
    for state in State:
        if state not in {"queued", "sending"}:
            assert str(state) in words.EVENTS


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.CRASHED, Reason.BROKEN])
def test_a_mail_is_called_refused_only_where_the_mail_server_refused_it(reason: Reason) -> None:
    moment = (State.FAILED, datetime(2026, 11, 24, tzinfo=UTC), 2)
    ended = snapshot_of("t", State.FAILED, attempt=2, step=4, reason=reason, timeline=[moment])
    view = view_of(in_words(ended.public()))
    said = " ".join([view.word, view.headline, view.detail, *(event.label for event in view.history)])
    assert ("refused" in said.lower()) is (reason is Reason.REFUSED)
    assert "Failed" in said


@pytest.mark.parametrize(
    ("snapshot", "drawn"),
    [
        (Snapshot("t"), "N...."),
        (Snapshot("t", "sending", "claimed", timeline=timeline("queued", "claimed"), attempt=1), "DN..."),
        (Snapshot("t", "sending", "handing over", attempt=1), "DDDN."),
        (Snapshot("t", "sent", timeline=timeline("queued", "accepted"), attempt=1, final=True), "DDDDD"),
        (Snapshot("t", "retrying", timeline=timeline("queued", "claimed", "retrying"), attempt=1), "DDP.."),
        (Snapshot("t", "failed", timeline=timeline("claimed", "connected", "failed"), attempt=1), "DDDP."),
        (Snapshot("t", "uncertain", timeline=timeline("handing over", "uncertain"), attempt=1), "DDDDU"),
        (Snapshot("t", "queued", timeline=timeline("queued", "claimed"), attempt=1), "N...."),
        (Snapshot("t", "cancelled", timeline=timeline("queued", "cancelled"), final=True), "DP..."),
        (Snapshot("t", "sending", "claimed", timeline=timeline("handing over"), attempt=2), "DN..."),
        (Snapshot("t", "unknown", final=True), "....."),
        (Snapshot("t", "running", current=1, total=2), ""),
    ],
)
def test_the_steps_show_how_far_the_newest_attempt_came(snapshot: Snapshot, drawn: str) -> None:
    assert statuses(snapshot) == drawn


@pytest.mark.parametrize("state", list(State))
def test_the_bar_is_full_at_acceptance_only(state: State) -> None:
    full = timeline("queued", "claimed", "connected", "handing over", "accepted")
    view = view_of(Snapshot("t", str(state), timeline=full, attempt=1, final=state in FINAL).public())
    assert (view.share == 1.0) is (state == State.SENT)


def test_the_bar_does_not_fall_back_in_a_later_attempt() -> None:
    first = Snapshot("t", "retrying", timeline=timeline("connected", "retrying"), attempt=1)
    second = Snapshot("t", "sending", "claimed", timeline=timeline("connected", "retrying"), attempt=2)
    assert view_of(second.public()).share >= view_of(first.public()).share


def test_a_counting_task_s_bar_follows_its_count() -> None:
    assert view_of(Snapshot("t", "running", current=3, total=4).public()).share == 0.75
    assert view_of(Snapshot("t", "running", current=4, total=4).public()).share < 1


def test_a_retry_says_why_and_when() -> None:
    error = {"reason": "unreachable", "message": "It cannot be reached.", "code": 421, "since": AT}
    view = view_of(Snapshot("t", "retrying", retry_at=AT, error=error, attempt=1).public())
    assert (view.detail, view.retry_at, view.since, view.code) == ("It cannot be reached.", AT, AT, "421")


def test_what_came_of_it_stands_above_how_it_went() -> None:
    view = view_of(Snapshot("t", "sent", follow_up="confirmed", final=True).public())
    assert view.headline == "Your address is confirmed"


def test_the_history_begins_with_the_second_attempt() -> None:
    assert not view_of(
        Snapshot("t", "sending", timeline=timeline("queued", "claimed"), attempt=1).public()
    ).history
    view = view_of(Snapshot("t", "sending", timeline=timeline("queued", "claimed"), attempt=2).public())
    assert [event.label for event in view.history] == ["Picked up by a worker", "Queued"]


def test_times_are_said_in_utc() -> None:
    assert clock_time("2026-11-24T14:00:05.250+02:00") == "12:00:05 UTC"


def test_only_operators_see_where_a_mail_could_not_be_rendered_and_nobody_as_words_of_the_server() -> None:
    place = "template note/body.txt, line 2, variable nmae: UndefinedError"
    ended = snapshot_of("t", State.FAILED, attempt=1, step=3, reason=Reason.BROKEN, answer=place)
    for member in (ended.public(), ended.public(owner=True)):
        view = view_of(in_words(member))
        assert (view.answer, view.cause) == ("", "")
        assert "error in this program" in view.detail
    operator = view_of(in_words(ended.public(owner=True, operator=True)))
    assert (operator.answer, operator.cause) == ("", place)
