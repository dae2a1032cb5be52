"""Tells people of alerts, by mail that goes straight to a mail server: the outbox may be what is broken."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

import aiosmtplib

from mailroom.desk.alerts.book import AlertView
from mailroom.i18n import languages
from mailroom.i18n.formats import in_time_zone
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
        """Return the same with how each reads mails; English where nobody knows. Raises `Unavailable`."""
        named = self._settings.alert_addresses
        rows: list[Any] = await self._database.fetch(READERS, {"named": list(named)})
        known = {email: Reader(*chosen) for email, _, *chosen in rows}
        to = named or [email for email, is_operator, *_ in rows if is_operator]
        return {address: known.get(address, Reader()) for address in to}

    async def tell(self, alerts: Sequence[AlertView]) -> bool:
        """Send one mail about these, in each language that somebody reads; False where none could be sent.

        Raises `Unavailable`.
        """
        readers = await self.readers()
        logger.warning("alert: %s", self._words(alerts).subject)
        if not readers:
            return True  # there is nobody to tell; the log and the desk have it
        sendings = []
        for reader in dict.fromkeys(readers.values()):
            with languages.speaking(reader.language or languages.DEFAULT), in_time_zone(reader.time_zone):
                words = self._words(alerts)
            sendings.append(self.send([address for address, one in readers.items() if one == reader], words))
        problems = await asyncio.gather(*sendings)  # one limit of time for all: see TELLING
        for problem in filter(None, problems):
            logger.error("the alert could not be mailed over %s: %s", self._settings.alert_server, problem)
        return None in problems

    async def send(self, to: Sequence[str], words: Words) -> str | None:
        """Send a mail now; return what went wrong, None where the mail server has it."""
        message = EmailMessage()
        message["From"] = self._settings.from_header
        message["To"] = ", ".join(to)
        message["Subject"] = words.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(domain=self._settings.sender.address.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice should answer
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
            return f"{trouble.result.reason}: {trouble.result.text or ''}".strip()
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            return str(error) or type(error).__name__
        return f"refused: {', '.join(refused)}" if len(refused) == len(to) else None
