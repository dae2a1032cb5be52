import pytest

from mailroom.kit.errors import MailroomError
from mailroom.progress.stored_results import from_result


class Lost(Exception):
    """As Celery makes one of a stored failure."""


class TooDark(MailroomError):
    """The photo cannot be read."""


def test_a_failure_that_brings_codes_along_is_shown_by_them() -> None:
    failure = Lost("failed: refused (550)", {"reason": "refused", "code": 550, "message_code": "mail.refused"})
    shown = from_result("t", {"status": "FAILURE", "result": failure})
    assert shown and (shown.state, shown.final) == ("failed", True)
    assert shown.error == {"reason": "refused", "code": 550, "message_code": "mail.refused"}


def test_a_failure_that_speaks_to_members_is_shown_by_its_text() -> None:
    shown = from_result("t", {"status": "FAILURE", "result": TooDark("The photo is too dark.")})
    assert shown and shown.error == {"message": "The photo is too dark."}


@pytest.mark.parametrize("failure", [KeyError("name"), ValueError("no"), Lost("odd", {"x": 1}), OSError(2, "/x")])
def test_a_failure_that_speaks_to_developers_is_shown_by_one_sentence(failure: Exception) -> None:
    shown = from_result("t", {"status": "FAILURE", "result": failure})
    assert shown and shown.error == {"reason": "broken", "message_code": "task.broken"}


def test_a_report_with_a_code_reaches_the_snapshot() -> None:
    told = {"step": 2, "message_code": "task.writing", "params": {"table": "mails"}}
    shown = from_result("t", {"status": "running", "result": told})
    assert shown and (shown.message_code, shown.params) == ("task.writing", {"table": "mails"})
