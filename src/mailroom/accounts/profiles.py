"""What members choose for their account: a name, a language, a time zone, and which mails they want."""

from collections.abc import Collection, Mapping
from zoneinfo import available_timezones

from sqlalchemy import func, select, update

from mailroom.accounts.errors import UnknownAccount, UnknownLanguage, UnknownTimeZone
from mailroom.accounts.models import Account
from mailroom.accounts.security.security_log import CHOSEN, USUAL
from mailroom.accounts.views import Session
from mailroom.i18n import languages
from mailroom.kit.database import Database

LONGEST_NAME = 80


class Profiles:
    """Keeps what members choose."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, session: Session, *, name: str, language: str, time_zone: str) -> None:
        """Keep the name, the language and the time zone; an empty text means none.

        Raises `UnknownLanguage`, `UnknownTimeZone`.
        """
        if language and language not in languages.shipped():
            raise UnknownLanguage
        if time_zone and time_zone not in time_zones():
            raise UnknownTimeZone
        chosen = {
            "name": " ".join(name.split())[:LONGEST_NAME] or None,
            "language": language or None,
            "time_zone": time_zone or None,
        }
        await self._write(session, chosen)

    async def choose_language(self, session: Session, language: str) -> None:
        """Keep the language alone. Raises `UnknownLanguage`."""
        if language not in languages.shipped():
            raise UnknownLanguage
        await self._write(session, {"language": language})

    async def notices(self, session: Session) -> frozenset[str]:
        """Return the events of `CHOSEN` that cause a mail."""
        mine = select(func.coalesce(Account.notices, sorted(USUAL))).where(Account.id == _id(session))
        async with self._database.begin() as work:
            return frozenset(await work.session.scalar(mine) or ())

    async def choose_notices(self, session: Session, wanted: Collection[str]) -> None:
        """Keep which events of `CHOSEN` cause a mail. All other events always do."""
        await self._write(session, {"notices": sorted(CHOSEN & set(wanted))})

    async def _write(self, session: Session, values: Mapping[str, object]) -> None:
        async with self._database.begin() as work:
            await work.session.execute(update(Account).where(Account.id == _id(session)).values(values))


def time_zones() -> list[str]:
    """Return the time zones that are named after a place, by continent (IANA database)."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith(ODD))


ODD = ("Etc/", "SystemV/", "US/", "posix/", "right/", "Canada/", "Brazil/", "Chile/", "Mexico/")
"""Old spellings of places that are listed by their continent, and zones without a place."""


def _id(session: Session) -> object:
    if session.account is None:
        raise UnknownAccount
    return session.account.id
