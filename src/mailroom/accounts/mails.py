"""The mails of this room, and the variables of their templates. This runs in the worker, while rendering."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from mailroom.accounts.browsers import ANY_BROWSER, browser_words
from mailroom.accounts.changes.address_change import CONFIRM_NEW, IN_USE
from mailroom.accounts.changes.address_change import LINK_LASTS as ADDRESS_LASTS
from mailroom.accounts.changes.deletion import DELETION, TIME_TO_UNDO
from mailroom.accounts.changes.password_reset import LINK, LINK_LASTS, NO_ACCOUNT
from mailroom.accounts.changes.takeover import LINK_LASTS as NOTICE_LASTS
from mailroom.accounts.security.notices import words_of
from mailroom.accounts.security.security_log import NOTICE
from mailroom.accounts.sign_up.confirmation import CODE_LASTS
from mailroom.accounts.sign_up.invitations import INVITE
from mailroom.accounts.sign_up.sign_ups import ALREADY, CONFIRM
from mailroom.accounts.tokens import (
    INVITATION,
    KEEP_ACCOUNT,
    NEW_ADDRESS,
    NEW_PASSWORD,
    NOT_ME,
    NOT_MINE,
    Tokens,
)
from mailroom.i18n import formats, languages
from mailroom.i18n.formats import date_time, duration
from mailroom.kit.text import HOUR
from mailroom.mail.kinds import MailKind, MailRow
from mailroom.progress.sentence import Sentence
from mailroom.settings import Settings

SIGN_UP_TITLE, PASSWORD_TITLE = Sentence("title.sign_up_mail"), Sentence("title.password_mail")
ADDRESS_TITLE = Sentence("title.address_mail")
"""One title for both mails of a form: whoever watches must not learn which it is."""


def kinds(tokens: Tokens, settings: Settings) -> list[MailKind]:
    """Return the kinds of mail this room sends."""
    words = {"public_url": settings.public_url, "site": settings.brand.site}

    def confirm(row: MailRow) -> Mapping[str, str]:
        link = f"{settings.public_url}/confirm/{tokens.token(row.id, row.nonce)}"
        lasts = {
            "hours": _lasts(settings.confirmation_hours * HOUR),
            "code_hours": _lasts(CODE_LASTS.total_seconds()),
        }
        not_mine = f"{settings.public_url}/not-mine/{tokens.token(row.id, row.nonce, NOT_MINE)}"
        return {
            **words,
            **_asked(row),
            "link": link,
            "not_mine": not_mine,
            **lasts,
            "code": tokens.code(row.id, row.nonce),
        }

    def already(row: MailRow) -> Mapping[str, str]:
        return {**words, **_asked(row), "address": row.recipient, "link": f"{settings.public_url}/sign-in"}

    def link(row: MailRow) -> Mapping[str, str]:
        token = tokens.token(row.id, row.nonce, NEW_PASSWORD)
        address = f"{settings.public_url}/new-password/{token}"
        lasts = _lasts(LINK_LASTS.total_seconds())
        return {**words, **_asked(row), "address": row.recipient, "link": address, "hours": lasts}

    def no_account(row: MailRow) -> Mapping[str, str]:
        return {**words, **_asked(row), "link": f"{settings.public_url}/sign-up"}

    def new_address(row: MailRow) -> Mapping[str, str]:
        address = f"{settings.public_url}/new-address/{tokens.token(row.id, row.nonce, NEW_ADDRESS)}"
        return {**words, **_asked(row), "link": address, "hours": _lasts(ADDRESS_LASTS.total_seconds())}

    def notice(row: MailRow) -> Mapping[str, str]:
        address = f"{settings.public_url}/not-me/{tokens.token(row.id, row.nonce, NOT_ME)}"
        lasts = _lasts(NOTICE_LASTS.total_seconds())
        return {**words, **_asked(row), **words_of(row), "link": address, "hours": lasts}

    def deletion(row: MailRow) -> Mapping[str, str]:
        token, not_me = (tokens.token(row.id, row.nonce, purpose) for purpose in (KEEP_ACCOUNT, NOT_ME))
        return {
            **words,
            **_asked(row),
            "address": row.recipient,
            "by": str(row.params.get("by", "owner")),
            "deletes_at": _minute(row.created_at + TIME_TO_UNDO),
            "link": f"{settings.public_url}/keep-account/{token}",
            "not_me": f"{settings.public_url}/not-me/{not_me}",
        }

    def invitation(row: MailRow) -> Mapping[str, str]:
        address = f"{settings.public_url}/invited/{tokens.token(row.id, row.nonce, INVITATION)}"
        ends = row.created_at + timedelta(days=settings.invitation_days)
        return {**words, "link": address, "ends": _minute(ends)}

    return [
        MailKind(CONFIRM, SIGN_UP_TITLE, variables=confirm, shows_tag=False),
        MailKind(ALREADY, SIGN_UP_TITLE, variables=already),
        MailKind(LINK, PASSWORD_TITLE, variables=link),
        MailKind(NO_ACCOUNT, PASSWORD_TITLE, variables=no_account, shows_tag=False),
        MailKind(CONFIRM_NEW, ADDRESS_TITLE, variables=new_address, shows_tag=False),
        MailKind(IN_USE, ADDRESS_TITLE, variables=already),
        MailKind(INVITE, Sentence("title.invitation_mail"), variables=invitation),
        MailKind(DELETION, Sentence("title.deletion_mail"), variables=deletion),
        MailKind(NOTICE, Sentence("title.security_notice"), variables=notice),
    ]


def _asked(row: MailRow) -> dict[str, str]:
    """Return the variables that say who asked, and when.

    A stranger must not be able to choose any of this text: readers would take it for ours. So the address is only
    in mails to accounts, which have it as their owner wrote it.
    """
    return {
        "asked_at": _minute(row.created_at),
        "browser": browser_words(str(row.params.get("browser", ANY_BROWSER))),
    }


def _lasts(seconds: float) -> str:
    return _duration(seconds, languages.current())


@lru_cache(maxsize=64)
def _duration(seconds: float, _language: str) -> str:
    return duration(seconds)


def _minute(at: datetime) -> str:
    return _date_time(at.replace(second=0, microsecond=0), languages.current(), formats.time_zone())


@lru_cache(maxsize=64)
def _date_time(at: datetime, _language: str, _zone: str) -> str:
    return date_time(at)
