"""Pages of apps: under the rules of our own, with a link in the head."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from quart import Quart, Response

from mailroom.accounts.views import Session
from mailroom.api import App, Blueprint, NavigationItem, limited, page, services
from mailroom.apps.installed import Apps, InstalledApp
from mailroom.settings import SettingsError
from mailroom.web.app import create_app
from tests.unit.web import fakes

Make = Callable[..., Quart]


@pytest.fixture
def make(world: fakes.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make the web application with an app of one blueprint, whose templates are those given."""

    def make(blueprint: object, *, navigation: tuple[NavigationItem, ...] = (), **templates: str) -> Quart:
        module = ModuleType("acme_pages")
        module.blueprint = blueprint  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "acme_pages", module)
        for name, text in templates.items():
            file = tmp_path / "templates" / f"{name}.html"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        app = App("acme", blueprints=["acme_pages:blueprint"], navigation=navigation)
        have = fakes.services(world)
        have.apps = Apps((InstalledApp(app, tmp_path),))
        return create_app(have)

    return make


def pages() -> Blueprint:
    blueprint = Blueprint("acme", __name__, url_prefix="/acme")

    @blueprint.get("/")
    async def hello() -> Response:
        return await page("hello.html", where=services().public_url)

    return blueprint


async def test_a_page_of_an_app_looks_like_ours_and_is_linked_for_whom_it_is(
    make: Make, world: fakes.World, alice: Session
) -> None:
    items = (
        NavigationItem("/acme", "Imports"),
        NavigationItem("/acme/all", "For operators", "operators"),
        NavigationItem("/acme/free", "For everyone", "everyone"),
    )
    hello = '{% extends "base.html" %}{% block main %}<h1>Hello from {{ where }}</h1>{% endblock %}'
    app = make(pages(), navigation=items, hello=hello)
    visitor = await (await app.test_client().get("/acme")).get_data(as_text=True)
    assert "Hello from http://localhost" in visitor
    assert "For everyone" in visitor
    assert "Imports" not in visitor
    client = app.test_client()
    client.set_cookie("localhost", "mailroom", next(key for key, one in world.sessions.items() if one is alice))
    member = await (await client.get("/acme")).get_data(as_text=True)
    assert '<a href="/acme" aria-current="page">Imports</a>' in member
    assert "For operators" not in member


async def test_an_app_can_put_a_template_in_the_place_of_ours(make: Make) -> None:
    home = '{% extends "mailroom/home.html" %}{% block title %}Acme at home{% endblock %}'
    text = await (await make(pages(), home=home).test_client().get("/")).get_data(as_text=True)
    assert "<title>Acme at home</title>" in text
    assert "Create an account" in text


def test_a_route_that_changes_something_needs_a_limit(make: Make) -> None:
    blueprint = pages()

    @blueprint.post("/change")
    async def change() -> Response:
        return Response("")

    with pytest.raises(SettingsError, match=r"app acme: POST /acme/change has no rate limit"):
        make(blueprint)


def test_a_route_with_a_limit_is_taken(make: Make) -> None:
    blueprint = pages()

    @blueprint.post("/change")
    @limited(((5, timedelta(minutes=1)),))
    async def change() -> Response:
        return Response("")

    assert make(blueprint)


def test_a_websocket_is_refused_since_nothing_would_check_its_origin(make: Make) -> None:
    blueprint = pages()

    @blueprint.websocket("/live")
    async def live() -> None:
        """Talk to any page of the world."""

    with pytest.raises(SettingsError, match=r"app acme: /acme/live is a websocket"):
        make(blueprint)


def test_an_address_that_is_ours_is_not_an_apps(make: Make) -> None:
    blueprint = Blueprint("acme", __name__)

    @blueprint.get("/account")
    async def account() -> Response:
        return Response("")

    with pytest.raises(SettingsError, match=r"the address /account is taken already"):
        make(blueprint)


def test_what_is_no_blueprint_and_a_name_that_is_taken_are_told(make: Make) -> None:
    with pytest.raises(SettingsError, match="this is no blueprint"):
        make("a text")
    with pytest.raises(SettingsError, match=r"app acme: .*account.* is already registered"):
        make(Blueprint("account", __name__))
