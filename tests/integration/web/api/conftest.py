"""The web over real services, and programs with keys."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from quart.typing import TestAppProtocol as App

from mailroom.api_keys.keys import KeyRequest
from mailroom.bootstrap.web import create_web
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.parts import part_of


@dataclass
class Program:
    """A program and its key; Mallory's has one of her own."""

    app: App
    secret: str

    async def call(
        self, method: str, path: str, body: Any = None, status: int = 200, headers: dict[str, str] | None = None
    ) -> Any:
        answer = await self.app.test_client().open(
            f"/api/v1{path}",
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {self.secret}", **(headers or {})},
        )
        text = await answer.get_data(as_text=True)
        assert answer.status_code == status, text
        return await answer.get_json()

    async def send(self, status: int = 200, under: dict[str, str] | None = None, **change: Any) -> Any:
        body = {
            "from": "Shop <shop@mailroom.example>",
            "to": "alice@example.org",
            "subject": "Hi",
            "text": "Hello",
        }
        return await self.call("POST", "/emails", {**body, **change}, status, under)


@dataclass
class Office:
    """The app, and keys for it."""

    app: App
    services: Services

    async def program(self, **options: Any) -> Program:
        async with self.services.database.begin() as work:
            _, secret = await self.services.api_keys.create(work, KeyRequest(**{"name": "shop", **options}))
        return Program(self.app, secret)


@pytest.fixture
async def office(settings: Settings) -> AsyncIterator[Office]:
    changed = settings.model_copy(
        update={"public_url": "http://localhost", "mail_from": "Mailroom <hello@mailroom.example>"}
    )
    async with create_web(changed).test_app() as app:
        yield Office(app, part_of(app.app, Services))
