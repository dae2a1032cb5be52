"""What an answer of a mail server says, before anything is decided."""

from mailroom.mail.smtp.connection import classify


def test_the_code_of_an_answer_without_one_is_none() -> None:
    assert classify(-1, "garbage").code is None
