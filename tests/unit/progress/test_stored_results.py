from mailroom.progress.stored_results import from_result


class Lost(Exception):
    """As Celery makes one of a stored failure."""


def test_a_failure_that_brings_codes_along_is_shown_by_them() -> None:
    failure = Lost("failed: refused (550)", {"reason": "refused", "code": 550, "message_code": "mail.refused"})
    shown = from_result("t", {"status": "FAILURE", "result": failure})
    assert shown and (shown.state, shown.final) == ("failed", True)
    assert shown.error == {"reason": "refused", "code": 550, "message_code": "mail.refused"}


def test_any_other_failure_is_shown_by_its_text() -> None:
    shown = from_result("t", {"status": "FAILURE", "result": Lost("too dark")})
    assert shown and shown.error == {"message": "too dark"}
    shown = from_result("t", {"status": "FAILURE", "result": Lost("odd", {"x": 1})})
    assert shown and shown.error == {"message": "('odd', {'x': 1})"}


def test_a_report_with_a_code_reaches_the_snapshot() -> None:
    told = {"step": 2, "message_code": "task.writing", "params": {"table": "mails"}}
    shown = from_result("t", {"status": "running", "result": told})
    assert shown and (shown.message_code, shown.params) == ("task.writing", {"table": "mails"})
