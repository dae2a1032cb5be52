"""The mails of this room: what their templates get to say. It runs in the worker, while rendering."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from mailroom.accounts.password_reset import LINK, LINK_LASTS, NO_ACCOUNT
from mailroom.accounts.sign_ups import ALREADY, CONFIRM
from mailroom.accounts.tokens import NEW_PASSWORD, Tokens
from mailroom.mail.kinds import MailKind, MailRow
from mailroom.settings import Settings

SIGN_UP_TITLE, PASSWORD_TITLE = "Sign-up mail", "Password mail"  # it opens nothing
"""One title for both mails of a form: whoever watches must not learn which it is."""


def kinds(tokens: Tokens, settings: Settings) -> list[MailKind]:
    """Return the kinds of mail this room sends."""
    words = {
        "public_url": settings.public_url,
        "site": settings.public_host,
        "hours": _in_words(settings.confirmation_hours),
    }

    def confirm(row: MailRow) -> Mapping[str, str]:
        link = f"{settings.public_url}/confirm/{tokens.token(row.id, row.nonce)}"
        return {**words, **_asked(row), "link": link, "code": tokens.code(row.id, row.nonce)}

    def already(row: MailRow) -> Mapping[str, str]:
        return {**words, **_asked(row), "address": row.recipient, "link": f"{settings.public_url}/sign-in"}

    def link(row: MailRow) -> Mapping[str, str]:
        token = tokens.token(row.id, row.nonce, NEW_PASSWORD)
        address = f"{settings.public_url}/new-password/{token}"
        return {
            **words,
            **_asked(row),
            "address": row.recipient,
            "link": address,
            "hours": f"{LINK_LASTS // timedelta(minutes=1)} minutes",
        }

    def no_account(row: MailRow) -> Mapping[str, str]:
        return {**words, **_asked(row), "link": f"{settings.public_url}/sign-up"}

    return [
        MailKind(CONFIRM, SIGN_UP_TITLE, variables=confirm, shows_tag=False),
        MailKind(ALREADY, SIGN_UP_TITLE, variables=already),
        MailKind(LINK, PASSWORD_TITLE, variables=link),
        MailKind(NO_ACCOUNT, PASSWORD_TITLE, variables=no_account, shows_tag=False),
    ]


def _asked(row: MailRow) -> dict[str, str]:
    """Say who asked, and when. Nothing here is a stranger's to choose: it would be read as ours.

    So the address is only for mails to accounts, which have it as their owner wrote it.
    """
    return {
        "asked_at": _minute(row.created_at.replace(second=0, microsecond=0)),
        "browser": str(row.params.get("browser", "a browser")),
    }


@lru_cache(maxsize=64)
def _minute(at: datetime) -> str:
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def _in_words(hours: int) -> str:
    if hours % 24 == 0 and hours > 24:  # noqa: PLR2004  # "two days" reads better than 48 hours
        return f"{hours // 24} days"
    return "one hour" if hours == 1 else f"{hours} hours"
