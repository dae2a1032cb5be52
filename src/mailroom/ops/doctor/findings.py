"""What a check finds, and how the words of libraries and servers are quoted without a secret."""

from base64 import b64encode
from dataclasses import dataclass

from mailroom.i18n.messages import gettext
from mailroom.kit.text import clean
from mailroom.ops.terminal import Mark
from mailroom.settings import Settings
from mailroom.settings.urls import passwords


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was checked, what was found, and what to do about it."""

    check: str
    mark: Mark
    words: str
    advice: str = ""


def good(check: str, words: str) -> Finding:
    """Return a finding: all is as it should be."""
    return Finding(check, Mark.GOOD, words)


def warning(check: str, words: str, advice: str = "") -> Finding:
    """Return a finding: it works, but somebody should look at it."""
    return Finding(check, Mark.WARNING, words, advice)


def broken(check: str, words: str, advice: str = "") -> Finding:
    """Return a finding: Mailroom does not work like this."""
    return Finding(check, Mark.BROKEN, words, advice)


def unknown(check: str, words: str) -> Finding:
    """Return a finding: it could not be checked."""
    return Finding(check, Mark.UNKNOWN, words)


def quoted(error: object, settings: Settings) -> str:
    """Return the first line of a library's or server's words, with our secrets replaced by ``***``."""
    told = str(error)
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        told = told.replace(secret, "***")
    first, *_ = told.strip().splitlines() or [""]
    return clean(first) or type(error).__name__


def _secrets(settings: Settings) -> set[str]:
    redis = [settings.redis_url, settings.limits, settings.results, *settings.broker.split(";")]
    others = filter(None, (settings.database_direct_url, settings.smtp_url, settings.smtp_alert_url))
    urls = [settings.database_url, *others, *redis]
    found = {password for url in urls for password in passwords(url)}
    found |= {*settings.secret_keys, settings.metrics_token.get_secret_value()}
    found |= {one.client_secret for one in settings.sign_in_providers}
    smtp = settings.smtp
    if smtp.username and smtp.password:  # a server may answer with the AUTH command that it did not like
        whole = f"\0{smtp.username}\0{smtp.password}"
        found |= {b64encode(words.encode()).decode() for words in (whole, smtp.password)}
    return found - {""}


def budget(check: str, settings: Settings, variable: str, *, available: int, each: int | None = None) -> Finding:
    """Compare the connections all processes may hold with those the server has for them.

    A process may hold `each`; if that is not given, as many as the setting `variable` says.
    """
    web, workers = settings.web_concurrency, settings.worker_processes
    each = each or int(getattr(settings, variable.lower()))
    used = (web + workers) * each
    sum_ = f"({web} web + {workers} worker) x {each} = {used}"
    if used > available:
        words = gettext(
            "Mailroom may hold %(sum)s connections, and the server has only %(available)s for it",
            sum=sum_,
            available=available,
        )
        advice = gettext(
            "Lower %(setting)s or the number of processes, or raise the server's limit.", setting=variable
        )
        return broken(check, words, advice)
    words = gettext("Mailroom may hold %(sum)s connections of %(available)s", sum=sum_, available=available)
    return good(check, words)
