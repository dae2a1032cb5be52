"""A browser, a program and a world in memory for the pages' tests."""

from collections.abc import Callable
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol

from mailroom.accounts.views import Session
from mailroom.web.app import create_app
from mailroom.web.live.endpoint import serve_live
from tests.unit.web import fakes


@pytest.fixture
def world() -> fakes.World:
    return fakes.World()


@pytest.fixture
def make_app(world: fakes.World) -> Callable[..., Quart]:
    def make(**settings: Any) -> Quart:
        app = create_app(fakes.services(world, **settings))
        serve_live(app)
        return app

    return make


@pytest.fixture
def app(make_app: Callable[..., Quart]) -> Quart:
    return make_app()


@pytest.fixture
def browser(app: Quart) -> TestClientProtocol:
    """A browser that has never been here."""
    return app.test_client()


@pytest.fixture
def alice(world: fakes.World) -> Session:
    """Alice's session, signed in; `as_` puts it into a browser."""
    return world.start("alice@example.org", agent="Mozilla/5.0 (X11; Linux) Firefox/130.0").session


@pytest.fixture
def as_(app: Quart, world: fakes.World) -> Callable[[Session], TestClientProtocol]:
    def browser_of(session: Session) -> TestClientProtocol:
        client = app.test_client()
        secret = next(key for key, one in world.sessions.items() if one.id == session.id)
        client.set_cookie("localhost", "mailroom", secret)
        return client

    return browser_of
