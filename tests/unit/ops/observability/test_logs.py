"""Logs: one calm line, and never a token in it."""

import io
import logging
from collections.abc import Iterator

import pytest

from mailroom.ops.observability import logs


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_names_time_process_level_and_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", written := io.StringIO())
    logs.configure("info", "web")
    logging.getLogger("mailroom.mail.smtp.pool").warning("the mail server is away for %d s", 5)
    logging.getLogger("mailroom.mail.smtp.pool").debug("not this")
    assert written.getvalue().endswith(" warning mail.smtp.pool: the mail server is away for 5 s\n")
    when, process, *_ = written.getvalue().split()
    assert when[10] == "T"
    assert when.endswith("Z")
    assert process.startswith("web[")
    assert written.getvalue().count("\n") == 1


def test_configuring_again_replaces_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    logs.configure("info", "web")
    monkeypatch.setattr("sys.stderr", written := io.StringIO())
    logs.configure("warning", "worker")
    logging.getLogger("mailroom").warning("once")
    assert written.getvalue().count("once") == 1


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_only_on_a_terminal_that_wants_them(
    monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("sys.stderr", written := Terminal())
    logs.configure("info", "web")
    logging.getLogger("mailroom").error("bad")
    assert ("\033[" in written.getvalue()) is coloured


def test_mallory_cannot_write_lines_of_her_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", written := io.StringIO())
    logs.configure("info", "web")
    logging.getLogger("mailroom").info("asked for %s", "/\n2026-11-24T00:00:00Z web[1] error forged\033[2J")
    assert written.getvalue().count("\n") == 1
    assert "\033" not in written.getvalue()


def test_a_traceback_keeps_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", written := io.StringIO())
    logs.configure("info", "web")
    try:
        int("why")
    except ValueError:
        logging.getLogger("mailroom").exception("it broke")
    assert "Traceback" in written.getvalue()
    assert "\nValueError: invalid" in written.getvalue()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/sign-up", "/sign-up"),
        ("/confirm", "/confirm"),
        ("/confirm/AbCd-_123", "/confirm/***"),
        ("/confirm/AbCd/more", "/confirm/***"),
        ("/new-password", "/new-password"),
        ("/new-password/AbCd-_123", "/new-password/***"),
        ("//confirm//AbCd", "//confirm//***"),
        ("/CONFIRM/AbCd", "/CONFIRM/***"),
        ("/confirm%2FAbCd", "/confirm%2F***"),
        ("/inbox/api/messages?to=alice@example.org", "/inbox/api/messages?***"),
        ("/confirm/AbCd?code=XYZ", "/confirm/***?***"),
        ("/a\r\nb", "/a\\r\\nb"),
        ("/tasks/0195d1f0-0000-7000-8000-000000000000", "/tasks/0195d1f0-0000-7000-8000-000000000000"),
        ("//new-password//AbCd", "//new-password//***"),
        (f"/new-password%252F{48 * 'A'}", "/new-password%***"),
        (f"/new-password\\{48 * 'A'}.", "/new-password\\***."),
        (f"/mails/x/../{48 * '_'}", "/mails/x/../***"),
        ("/confirm/AbCd efGH", "/confirm/***"),
    ],
)
def test_a_path_is_logged_without_token_and_query(path: str, shown: str) -> None:
    assert logs.redact(path) == shown
