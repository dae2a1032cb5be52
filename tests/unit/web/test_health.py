import json
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from mailroom.web.static_files import StaticFiles
from tests.unit.web.fakes import World


async def test_alive_needs_nobody_else(browser: Client, world: World) -> None:
    world.database_away = True
    answer = await browser.get("/healthz")
    assert (answer.status_code, json.loads(await answer.get_data())) == (200, {"alive": True})


async def test_ready_says_who_does_not_answer(browser: Client, world: World) -> None:
    answer = await browser.get("/readyz")
    body = json.loads(await answer.get_data())
    assert answer.status_code == 503
    assert body == {"ready": False, "checks": {"database": "ok", "redis": "does not answer"}}
    world.database_away = True
    body = json.loads(await (await browser.get("/readyz")).get_data())
    assert body["checks"]["database"] == "does not answer"


async def test_metrics_are_for_who_has_the_token(
    make_app: Callable[..., Quart], monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = ModuleType("mailroom.ops.observability.metrics")

    async def render(_services: object) -> bytes:
        return b"mailroom_mails 1\n"

    module.render = render
    monkeypatch.setitem(sys.modules, "mailroom.ops.observability.metrics", module)
    client = make_app(metrics_token="olga-s-token").test_client()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
        assert (await client.get("/metrics", headers=headers)).status_code == 404
    answer = await client.get("/metrics", headers={"Authorization": "Bearer olga-s-token"})
    assert answer.status_code == 200
    assert b"mailroom_mails" in await answer.get_data()


async def test_without_a_token_there_are_no_metrics(browser: Client) -> None:
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": ""}):
        assert (await browser.get("/metrics", headers=headers)).status_code == 404


async def test_a_static_file_is_kept_under_its_fingerprint_and_checked_without(browser: Client) -> None:
    kept = await browser.get(StaticFiles().url("mailroom.css"))
    assert "immutable" in kept.headers["Cache-Control"]
    assert kept.headers["Content-Type"].startswith("text/css")
    for url in ("/static/mailroom.css", "/static/mailroom.css?v=old"):
        assert (await browser.get(url)).headers["Cache-Control"] == "no-cache"
    again = await browser.get("/static/mailroom.css", headers={"If-None-Match": kept.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/static/nope.css", "/static/../app.py", "/static/%2e%2e/app.py", "/static/"])
async def test_only_static_files_are_served(browser: Client, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


async def test_scripts_are_scripts(browser: Client) -> None:
    for name in ("live.js", "connection.js", "times.js", "page.js", "inbox.js"):
        answer = await browser.get(f"/static/{name}")
        assert "javascript" in answer.headers["Content-Type"]


async def test_every_file_a_page_names_is_there(browser: Client) -> None:
    page = await (await browser.get("/")).get_data(as_text=True)
    names = re.findall(r'"(/static/[^"]+)"', page)
    assert len(names) >= 4
    for name in names:
        assert (await browser.get(name)).status_code == 200
