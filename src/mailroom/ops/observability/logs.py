"""Logs: one line for each event, on standard error, without secrets."""

import logging
import os
import re
import sys
import time
from typing import ClassVar, TextIO

from mailroom.kit.text import clean

RED, YELLOW, DIM, PLAIN = "\033[31m", "\033[33m", "\033[2m", "\033[0m"
LINKS = re.compile(
    r"((?:confirm|new-password|not-me|new-address|keep-account|invited|embed|watch)(?:/|%2f)+).*",
    re.IGNORECASE | re.DOTALL,
)
TOKEN = re.compile(r"[A-Za-z0-9_-]{40,}")
"""What may be a token, anywhere in a path: ours have 48 characters or more; an id has 36."""
QUIET = ("aiosmtplib", "asyncio", "celery.utils.functional", "kombu", "mail", "redis", "sqlalchemy.engine")
"""Loggers of libraries that log every statement, some with addresses. `mail` is aiosmtpd's: at info level it logs
addresses, at debug level all that clients send, contents included."""


class Line(logging.Formatter):
    """``2026-11-24T04:16:00Z web[71] warning mail.pool: the mail server cannot be reached``."""

    converter = staticmethod(time.gmtime)
    COLOURS: ClassVar[dict[int, str]] = {logging.WARNING: YELLOW, logging.ERROR: RED, logging.CRITICAL: RED}

    def __init__(self, name: str, *, coloured: bool) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")
        self._name = name
        self._coloured = coloured

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Return the line; control characters in the message are escaped, so that it stays one line."""
        when = self.formatTime(record, self.datefmt)
        source = record.name.removeprefix("mailroom.")
        before = f"{when} {self._name}[{record.process}] {record.levelname.lower()} {source}:"
        text = clean(record.message)
        if not self._coloured:
            return f"{before} {text}"
        return f"{DIM}{before}{PLAIN} {self.COLOURS.get(record.levelno, '')}{text}{PLAIN}"


class Handler(logging.StreamHandler[TextIO]):
    """The handler that `configure` sets; it has a class of its own so that `configure` can replace it."""


def configure(level: str, name: str) -> None:
    """Log to standard error from `level` (debug, info, warning, error) on, as process `name`.

    Lines have colours on a terminal, unless NO_COLOR is set. A second call replaces the first one's handler.
    """
    handler = Handler(sys.stderr)
    handler.setFormatter(Line(name, coloured=sys.stderr.isatty() and not os.environ.get("NO_COLOR")))
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, Handler)]
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for library in QUIET:
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


def redact(path: str) -> str:
    """Return the path of a request, fit for a log: no query string, and no token of a link."""
    path, query, _ = path.partition("?")
    return clean(TOKEN.sub("***", LINKS.sub(r"\1***", path))) + ("?***" if query else "")
