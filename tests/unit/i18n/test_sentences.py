import re
from pathlib import Path

import pytest

from mailroom import i18n
from mailroom.api_keys.errors import UnknownKey
from mailroom.i18n.sentences import SENTENCES, error_text, in_words, message_of, sentence
from mailroom.mail.administration import NotPossible
from mailroom.mail.states import Reason, message_code
from mailroom.progress.snapshot import Snapshot


def test_there_is_a_sentence_for_every_reason_of_a_mail() -> None:
    held = {message_code(reason, held=True) for reason in (Reason.NO_ANSWER, Reason.RESTORED)}
    codes = {message_code(reason) for reason in Reason} | held
    assert {code for code in SENTENCES if re.fullmatch(r"mail\.[a-z_]+", code)} == codes


def test_every_code_in_the_source_has_a_sentence() -> None:
    source = Path(i18n.__file__).parents[1]
    files = [path for path in source.rglob("*.py") if "i18n" not in path.parts]
    used = {code for path in files for code in re.findall(r'"([a-z]+\.error\.[a-z_]+)"', path.read_text())}
    assert used == {code for code in SENTENCES if ".error." in code}


def test_an_error_with_a_code_is_shown_in_words_and_any_other_by_its_docstring() -> None:
    assert "cannot be sent again" in error_text(NotPossible("mail.error.contents_dropped"))
    refused = error_text(NotPossible("mail.error.cannot_cancel", state="sent"))
    assert refused.startswith("The state of this mail is “sent”;")
    assert error_text(UnknownKey()) == UnknownKey.__doc__


@pytest.mark.parametrize("code", [code for code in SENTENCES if code.startswith("mail.")])
def test_a_sentence_about_a_mail_fits_every_kind_of_mail(code: str) -> None:
    """Whoever waits for a link to a new password has no use for another sign-up."""
    said = sentence(code).lower()
    assert not [words for words in ("sign up", "sign-up", "password", "confirm") if words in said]


def test_every_code_names_its_room() -> None:
    assert not [code for code in SENTENCES if not re.fullmatch(r"[a-z]+(\.[a-z_]+)+", code)]


def test_parameters_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SENTENCES, "task.parts_failed", "%(failed)s of %(total)s failed: 100 %%")
    assert sentence("task.parts_failed", {"failed": 1, "total": 3}) == "1 of 3 failed: 100 %"


def test_a_code_or_a_parameter_that_this_release_does_not_know_shows_the_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(SENTENCES, "task.parts_failed", "%(failed)s of %(total)s failed")
    assert sentence("mail.of_tomorrow", {"x": 1}) == "mail.of_tomorrow"
    assert sentence("task.parts_failed", {"failed": 1}) == "task.parts_failed"


def test_a_text_from_outside_stays_as_it_is() -> None:
    assert message_of({"message": "100 % of %(it)s"}) == "100 % of %(it)s"
    assert message_of({}) is None


def test_a_snapshot_is_described_in_words_and_keeps_its_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SENTENCES, "task.writing", "Writing your %(table)s")
    error = {"reason": "tls", "message_code": "mail.tls", "answer": "no STARTTLS"}
    told = Snapshot("t", "retrying", message_code="task.writing", params={"table": "mails"}, error=error)
    public = in_words(told.public())
    assert public["message"] == "Writing your mails"
    assert public["error"] == {"reason": "tls", "message_code": "mail.tls", "message": sentence("mail.tls")}
    assert in_words(told.public(owner=True))["error"]["answer"] == "no STARTTLS"
    assert "message" not in told.public()["error"]
    assert "message" not in error  # the snapshot is shared by everyone who watches


def test_a_snapshot_without_codes_is_its_public_form() -> None:
    told = Snapshot("t", "failed", message="half way", error={"message": "too dark"}, final=True)
    assert in_words(told.public()) == told.public()
