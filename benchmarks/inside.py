"""The same app, sending inside the request: what signing up costs where no worker does it. Serves `PORT`."""

import asyncio
import smtplib
from dataclasses import replace
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from mailroom.bootstrap.web import create_web
from mailroom.ops.processes.listening import listen
from mailroom.services import Services
from mailroom.settings import Settings, load
from mailroom.web.parts import part_of, provide
from mailroom.web.server import server as serving


class SendingRegistration:
    """Registration whose sign-up ends once the mail server has the mail."""

    def __init__(self, registration: Any, settings: Settings) -> None:
        self._registration = registration
        self._server = settings.smtp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registration, name)

    async def sign_up(self, *, email: str, **more: Any) -> UUID:
        mail_id: UUID = await self._registration.sign_up(email=email, **more)
        await asyncio.to_thread(self._send, email)
        return mail_id

    def _send(self, to: str) -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = "Please confirm", "hello@example.org", to
        message.set_content("Welcome. One step is left.\n")
        with smtplib.SMTP(self._server.host, self._server.port) as server:
            server.send_message(message)


def main() -> None:
    settings = load()
    app = create_web(settings)
    services = part_of(app, Services)
    registration: Any = SendingRegistration(services.registration, settings)
    provide(app, Services, replace(services, registration=registration))
    listening = listen(settings.host, settings.port)
    serving.run(app, listening, hops=settings.trusted_proxies, counters=services.counters)


if __name__ == "__main__":
    main()
