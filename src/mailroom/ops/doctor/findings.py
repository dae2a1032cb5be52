"""What a check finds, and how others' words get into it without a secret."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from mailroom.kit.text import clean
from mailroom.settings import Settings


class Mark(StrEnum):
    """How it stands with what was checked."""

    GOOD = "good"
    CARE = "care"  # works, and yet somebody should look at it
    BROKEN = "broken"
    UNKNOWN = "unknown"  # could not be checked


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was checked, what was found, and what to do about it."""

    check: str
    mark: Mark
    words: str
    advice: str = ""


def good(check: str, words: str) -> Finding:
    """It is as it should be."""
    return Finding(check, Mark.GOOD, words)


def care(check: str, words: str, advice: str = "") -> Finding:
    """It works, and yet somebody should look at it."""
    return Finding(check, Mark.CARE, words, advice)


def broken(check: str, words: str, advice: str = "") -> Finding:
    """Mailroom does not work like this."""
    return Finding(check, Mark.BROKEN, words, advice)


def unknown(check: str, words: str) -> Finding:
    """It could not be checked."""
    return Finding(check, Mark.UNKNOWN, words)


def quoted(error: object, settings: Settings) -> str:
    """Return the first line of a library's or server's words, with our secrets replaced by ``***``."""
    first, *_ = str(error).strip().splitlines() or [""]
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        first = first.replace(secret, "***")
    return clean(first) or type(error).__name__


def _secrets(settings: Settings) -> set[str]:
    urls = [settings.database_url, settings.redis_url, settings.result_backend_url, settings.smtp_url]
    urls += settings.broker_url.split(";")
    passwords = {urlsplit(url).password or "" for url in urls}
    keys = {*settings.secret_keys, settings.metrics_token.get_secret_value()}
    return {secret for secret in passwords | {unquote(p) for p in passwords} | keys if secret}


def budget(check: str, settings: Settings, variable: str, *, available: int) -> Finding:
    """Compare the connections all processes may hold, `variable` each, with those the server has for them."""
    web, workers = settings.web_concurrency, settings.worker_processes
    each = int(getattr(settings, variable.lower()))
    used = (web + workers) * each
    sum_ = f"({web} web + {workers} worker) x {each} = {used} connections"
    if used > available:
        words = f"Mailroom may hold {sum_}, and the server has only {available} for it"
        return broken(check, words, f"Lower {variable} or the number of processes, or raise the server's limit.")
    return good(check, f"Mailroom may hold {sum_} of {available}")
