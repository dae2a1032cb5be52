"""Watch tokens over real services: what they open, for which pages, and that they show no address."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from quart.testing.connections import WebsocketDisconnectError
from sqlalchemy import text

from mailroom.api_keys.watch_tokens import LENGTH, ExpiredWatchToken, WatchTokens, WrongWatchToken
from mailroom.i18n.languages import speaking
from mailroom.i18n.sentences import sentence
from mailroom.jobs.app import create_celery
from mailroom.kit.ids import new_id
from tests.integration.web.api.conftest import Office, Program, office  # noqa: F401  # a fixture

SHOP_PAGE = "https://shop.example"


async def message(office: Office, **options: Any) -> tuple[Program, dict[str, Any]]:  # noqa: F811
    program = await office.program(origins=[SHOP_PAGE], **options)
    return program, await program.send(to=["alice@example.org", "bob@example.org"])


async def get(office: Office, path: str, **headers: str) -> Any:  # noqa: F811
    return await office.app.test_client().get(
        path, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )


async def change(office: Office, statement: str) -> None:  # noqa: F811
    async with office.services.database.begin() as work:
        await work.session.execute(text(statement))


async def test_a_message_token_shows_counts_and_no_address(office: Office) -> None:  # noqa: F811
    _, sent = await message(office)
    answer = await get(office, f"/api/v1/watch/{sent['watch_token']}", Origin=SHOP_PAGE)
    body = await answer.get_json()
    assert (body["object"], body["state"], body["counts"], body["total"], body["final"]) == (
        "message",
        "queued",
        {"queued": 2},
        2,
        False,
    )
    assert "example.org" not in await answer.get_data(as_text=True)
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP_PAGE and "Origin" in answer.headers["Vary"]
    assert "Set-Cookie" not in answer.headers


async def test_a_token_is_for_the_pages_of_its_key(office: Office) -> None:  # noqa: F811
    _, sent = await message(office)
    for origin in (
        "https://mallory.example",
        "null",
        "http://shop.example",
        "https://shop.example.mallory.example",
    ):
        answer = await get(office, f"/api/v1/watch/{sent['watch_token']}", Origin=origin)
        assert answer.status_code == 403 and "Access-Control-Allow-Origin" not in answer.headers
    assert (
        await get(office, f"/api/v1/watch/{sent['watch_token']}", Origin="http://localhost")
    ).status_code == 200
    assert (await get(office, f"/api/v1/watch/{sent['watch_token']}")).status_code == 200, "no browser"


async def test_a_recipients_token_opens_that_mail_alone_and_hides_what_the_server_said(office: Office) -> None:  # noqa: F811
    program, sent = await message(office)
    await change(
        office,
        "update mails set state = 'failed', reason = 'refused', code = 550, enhanced = '5.1.1', nudge_at = null,"
        " answer = 'alice@example.org: no such user', attempt = 1, step = 3, ended_at = now()",
    )
    found = await program.call("GET", f"/emails/{sent['id']}")
    answer = await get(office, f"/api/v1/watch/{found['recipients'][0]['watch_token']}")
    body = await answer.get_json()
    assert (body["object"], body["state"], body["error"]["code"], body["final"]) == ("mail", "failed", 550, True)
    assert "no such user" not in json.dumps(body) and "task" not in body
    # Its sentences are in the language of the page that shows it, whatever the browser's own is.
    path = f"/api/v1/watch/{found['recipients'][0]['watch_token']}?lang=de-AT"
    german = await (await get(office, path, Accept_Language="en")).get_json()
    with speaking("de"):
        assert german["error"]["message"] == sentence("mail.refused") != body["error"]["message"]


async def test_a_long_poll_ends_with_news(office: Office) -> None:  # noqa: F811
    _, sent = await message(office)
    path = f"/api/v1/watch/{sent['watch_token']}"
    tag = (await get(office, path)).headers["ETag"]
    assert (await get(office, f"{path}?wait=0.3", If_None_Match=tag)).status_code == 304
    waiting = asyncio.create_task(get(office, f"{path}?wait=20", If_None_Match=tag))
    await asyncio.sleep(0.3)
    await change(office, "update mails set state = 'cancelled', step = 5, nudge_at = null, ended_at = now()")
    answer = await asyncio.wait_for(waiting, 10)
    assert (await answer.get_json())["counts"] in ({"cancelled": 2}, {"cancelled": 1, "queued": 1})


async def test_a_socket_tells_each_change_and_ends_when_the_key_is_revoked(office: Office) -> None:  # noqa: F811
    _, sent = await message(office)
    async with office.app.test_client().websocket("/embed/live", headers={"Origin": SHOP_PAGE}) as socket:
        await socket.send(json.dumps({"watch": [sent["watch_token"], "w" + "x" * (LENGTH - 1)]}))
        told = [json.loads(await socket.receive()) for _ in range(2)]
        by_token = {one["token"]: one for one in told}
        assert by_token[sent["watch_token"]]["counts"] == {"queued": 2}
        assert by_token["w" + "x" * (LENGTH - 1)]["state"] == "unknown"
        await change(office, "update mails set state = 'cancelled', step = 5, nudge_at = null, ended_at = now()")
        async with asyncio.timeout(10):
            while not (body := json.loads(await socket.receive()))["final"]:
                pass
        assert body["counts"] == {"cancelled": 2}
        async with office.services.database.begin() as work:
            for key in await office.services.api_keys.list(work):
                await office.services.api_keys.revoke(work, key.id)
        with pytest.raises(WebsocketDisconnectError, match="4401"):
            await asyncio.wait_for(socket.receive(), 10)
    assert (await get(office, f"/api/v1/watch/{sent['watch_token']}")).status_code == 404


async def test_a_socket_from_a_foreign_page_is_told_nothing(office: Office) -> None:  # noqa: F811
    _, sent = await message(office)
    async with office.app.test_client().websocket(
        "/embed/live", headers={"Origin": "https://mallory.example"}
    ) as socket:
        await socket.send(json.dumps({"watch": [sent["watch_token"]]}))
        body = json.loads(await socket.receive())
        assert (body["state"], body["reason"], body["final"]) == ("unknown", "origin", True)


async def test_a_stream_tells_where_it_is_as_an_event(office: Office) -> None:  # noqa: F811
    _, sent = await message(office)
    await change(office, "update mails set state = 'cancelled', step = 5, nudge_at = null, ended_at = now()")
    answer = await get(
        office, f"/api/v1/watch/{sent['watch_token']}", Accept="text/event-stream", Origin=SHOP_PAGE
    )
    assert answer.content_type == "text/event-stream"
    lines = (await answer.get_data(as_text=True)).splitlines()
    assert json.loads(lines[0].removeprefix("data: "))["final"] is True


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
async def test_any_celery_task_of_the_backend_can_be_watched(office: Office) -> None:  # noqa: F811
    program, sent = await message(office)
    celery_id = str(uuid4())
    made = await program.call("POST", "/watch", {"task_id": celery_id, "title": "Import"})
    path = f"/api/v1/watch/{made['watch_token']}"
    backend = create_celery(office.services.settings, worker=True, current=False).backend
    await asyncio.to_thread(
        backend.store_result, celery_id, {"current": 3, "total": 10, "description": "reading"}, "PROGRESS"
    )
    body = await (await get(office, path)).get_json()
    assert (body["object"], body["state"], body["current"], body["total"], body["message"]) == (
        "task",
        "running",
        3,
        10,
        "reading",
    )
    await asyncio.to_thread(backend.store_result, celery_id, {"secret": "a result"}, "SUCCESS")
    answer = await get(office, path)
    assert (await answer.get_json())["state"] == "done" and "secret" not in await answer.get_data(as_text=True)
    for task_id, status in ((sent["id"], 200), ("x", 422), ("", 422)):
        if status != 200:
            await program.call("POST", "/watch", {"task_id": task_id}, status)
    async with office.services.database.begin() as work:
        mail_id = (await work.session.execute(text("select id from mails limit 1"))).scalar_one()
    await program.call("POST", "/watch", {"task_id": str(mail_id)}, 409)
    other = await office.program()
    await other.call("POST", "/watch", {"task_id": celery_id}, 409)


async def test_the_script_is_small_and_for_every_page_and_the_frame_for_the_keys_pages(office: Office) -> None:  # noqa: F811
    _, sent = await message(office)
    script = await get(office, "/embed.js")
    assert len(await script.get_data()) < 15_000 and script.headers["Access-Control-Allow-Origin"] == "*"
    assert script.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    page = await get(office, f"/embed/{sent['watch_token']}")
    assert page.status_code == 200
    assert f'<mailroom-progress token="{sent["watch_token"]}"><p>Waiting</p>' in await page.get_data(as_text=True)
    assert "X-Frame-Options" not in page.headers
    assert f"frame-ancestors 'self' {SHOP_PAGE}" in page.headers["Content-Security-Policy"]
    assert (await get(office, "/embed/nothing")).status_code == 404
    assert (await get(office, "/")).headers["X-Frame-Options"] == "DENY"


def test_a_token_that_was_changed_or_is_old_opens_nothing() -> None:
    tokens, mail, key = WatchTokens(["k" * 32]), new_id(), new_id()
    token = tokens.make("mail", mail, key)
    assert len(token) == LENGTH
    target = tokens.read(token)
    assert (target.kind, target.id, target.key_id) == ("mail", mail, key)
    assert WatchTokens(["n" * 32, "k" * 32]).read(token).id == mail, "an older SECRET_KEY still verifies"
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(WrongWatchToken):
            tokens.read(changed)
    with pytest.raises(ExpiredWatchToken):
        tokens.read(tokens.make("mail", mail, key, timedelta(seconds=-1)))
