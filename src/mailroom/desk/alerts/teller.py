"""Tells people of alerts, by mail that goes straight to a mail server: the outbox may be what is broken."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

import aiosmtplib

from mailroom.desk.alerts.book import AlertView
from mailroom.i18n import languages
from mailroom.i18n.formats import in_time_zone
from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.mail.kinds import Reader
from mailroom.mail.smtp.opening import ServerTrouble, open_session
from mailroom.settings import Settings

logger = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds to hand an alert over."""
READERS = """
select email, is_operator, coalesce(language, browser_language), time_zone
from accounts where is_operator or email = any(%(named)s) order by email_key
"""


@dataclass(frozen=True, slots=True)
class Words:
    """An alert in words."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """Who has heard of an alert by now, and whether that is everybody."""

    reached: Sequence[str]
    everybody: bool


class Teller:
    """Sends alerts. `words` puts some of them into one mail."""

    def __init__(
        self, database: Database, settings: Settings, words: Callable[[Sequence[AlertView]], Words]
    ) -> None:
        self._database = database
        self._settings = settings
        self._words = words

    async def addresses(self) -> list[str]:
        """Return whom alerts go to: ALERT_TO, or else all operators. Raises `Unavailable`."""
        return list(await self.readers())

    async def readers(self) -> dict[str, Reader]:
        """Return these addresses with each reader's language and time zone, if known. Raises `Unavailable`."""
        named = self._settings.alert_addresses
        rows: list[Any] = await self._database.fetch(READERS, {"named": list(named)})
        known = {email: Reader(*chosen) for email, _, *chosen in rows}
        to = named or [email for email, is_operator, *_ in rows if is_operator]
        return {address: known.get(address, Reader()) for address in to}

    async def tell(self, alerts: Sequence[AlertView], *, but: Collection[str] = ()) -> Told:
        """Send one mail about these alerts, in each reader's language; those in `but` have been told already.

        Raises `Unavailable`.
        """
        readers = await self.readers()
        if not but:
            logger.warning("alert: %s", self._words(alerts).subject)
        left = {address: reader for address, reader in readers.items() if address not in but}
        sendings = []
        for reader in dict.fromkeys(left.values()):
            with languages.speaking(reader.language or languages.DEFAULT), in_time_zone(reader.time_zone):
                words = self._words(alerts)
            sendings.append(self._send([address for address, one in left.items() if one == reader], words))
        reached = set(but)
        for some, problem in await asyncio.gather(*sendings):  # at the same time, to be done within TELLING
            reached |= some
            if problem:
                logger.error("the alert could not be mailed over %s: %s", self._settings.alert_server, problem)
        # If there is nobody to tell, the alert is in the log and on the desk.
        return Told(sorted(reached & readers.keys()), readers.keys() <= reached)

    async def test(self, to: Sequence[str]) -> str | None:
        """Mail a test alert now; return what went wrong, None if the mail server took it."""
        now = clock.now()
        return await self.send(to, self._words([AlertView.of_test(now)]))

    async def send(self, to: Sequence[str], words: Words) -> str | None:
        """Send a mail now; return what went wrong, None if the mail server took it for one of them at least."""
        reached, problem = await self._send(to, words)
        return None if reached else problem

    async def _send(self, to: Sequence[str], words: Words) -> tuple[set[str], str]:
        """Return the addresses for which the mail server took it, and what went wrong with the others."""
        message = EmailMessage()
        message["From"] = self._settings.from_header
        message["To"] = ", ".join(to)
        message["Subject"] = words.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(domain=self._settings.sender.address.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic replies
        message.set_content(words.text)
        try:
            async with asyncio.timeout(PATIENCE):
                smtp = await open_session(self._settings.alert_server, PATIENCE, self._settings.ehlo_name)
                try:
                    refused, _ = await smtp.send_message(message)
                    await smtp.quit()
                finally:
                    smtp.close()
        except ServerTrouble as trouble:
            return set(), f"{trouble.result.reason}: {trouble.result.text or ''}".strip()
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            return set(), str(error) or type(error).__name__
        return set(to) - set(refused), f"refused: {', '.join(refused)}" if refused else ""
