"""`/api/v1/emails` over real services: what programs send, what they are told, and what they cannot see."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.web.api.conftest import Office


async def rows(office: Office, query: str) -> list[Any]:
    async with office.services.database.begin() as work:
        return list((await work.session.execute(text(query))).all())


async def test_a_mail_is_stored_with_a_state_for_each_recipient(office: Office) -> None:
    shop = await office.program()
    sent = await shop.send(
        to=["Alice <alice@example.org>", "bob@example.org"],
        bcc="carol@example.org",
        html="<p>Hello</p>",
        tags=[{"name": "kind", "value": "welcome"}],
    )
    assert sent["watch_url"].endswith(sent["watch_token"])
    found = await shop.call("GET", f"/emails/{sent['id']}")
    assert (found["object"], found["from"], found["last_event"]) == (
        "email",
        "Shop <shop@mailroom.example>",
        "queued",
    )
    assert (found["to"], found["bcc"]) == (["Alice <alice@example.org>", "bob@example.org"], ["carol@example.org"])
    assert (found["text"].strip(), found["html"].strip()) == ("Hello", "<p>Hello</p>")
    assert [one["address"] for one in found["recipients"]] == [
        "alice@example.org",
        "bob@example.org",
        "carol@example.org",
    ]
    assert {one["state"] for one in found["recipients"]} == {"queued"}
    listed = await shop.call("GET", "/emails?tag=kind:welcome&to=bob@example.org&limit=5")
    assert [one["id"] for one in listed["data"]] == [sent["id"]] and listed["has_more"] is False


async def test_a_batch_is_strict_unless_it_says_otherwise(office: Office) -> None:
    shop = await office.program()
    good = {"from": "shop@mailroom.example", "to": "a@example.org", "subject": "s", "text": "t"}
    bad = {**good, "to": "nobody"}
    refused = await shop.call("POST", "/emails/batch", [good, bad], 422)
    assert refused["name"] == "validation_error" and refused["message"].startswith("`1.to`")
    assert await rows(office, "select 1 from messages") == []
    sent = await shop.call("POST", "/emails/batch", [good, bad], 200, {"x-batch-validation": "permissive"})
    assert len(sent["data"]) == 1 and sent["errors"][0]["index"] == 1
    elsewhere = {**good, "from": "x@elsewhere.example"}
    assert (await shop.call("POST", "/emails/batch", [good, elsewhere], 403))["name"] == "validation_error"
    permissive = {"x-batch-validation": "permissive"}
    sent = await shop.call("POST", "/emails/batch", [elsewhere, good], 200, permissive)
    assert len(sent["data"]) == 1 and sent["errors"][0]["index"] == 0
    assert sent["errors"][0]["message"].startswith("`from`")
    await shop.call("POST", "/emails/batch", [good], 422, {"x-batch-validation": "lenient"})
    assert len((await shop.call("POST", "/emails/batch", [good] * 100))["data"]) == 100
    await shop.call("POST", "/emails/batch", [good] * 101, 422)


async def test_a_scheduled_mail_is_put_off_and_cancelled_while_it_waits(office: Office) -> None:
    shop = await office.program()
    due = datetime.now(UTC) + timedelta(hours=1)
    sent = await shop.send(scheduled_at=due.isoformat())
    assert (await shop.call("GET", f"/emails/{sent['id']}"))["last_event"] == "scheduled"
    later = (due + timedelta(hours=1)).isoformat()
    changed = await shop.call("PATCH", f"/emails/{sent['id']}", {"scheduled_at": later})
    assert changed == {"object": "email", "id": sent["id"]}
    assert (await shop.call("GET", f"/emails/{sent['id']}"))["scheduled_at"] == later
    await shop.call("POST", f"/emails/{sent['id']}/cancel")
    assert (await shop.call("GET", f"/emails/{sent['id']}"))["last_event"] == "canceled"
    refused = await shop.call("POST", f"/emails/{sent['id']}/cancel", None, 422)
    assert "waits" in refused["message"]
    acts = await rows(office, "select actor, action from audit_log order by id")
    assert [tuple(act) for act in acts] == [("key", "message.rescheduled"), ("key", "message.cancelled")]


async def test_a_repeat_under_one_idempotency_key_is_one_mail_however_they_meet(office: Office) -> None:
    shop = await office.program()
    key = {"Idempotency-Key": "order-17"}
    first = await shop.send(under=key)
    again = await shop.send(under=key)
    assert again["id"] == first["id"] and len(await rows(office, "select 1 from messages")) == 1
    other = await shop.send(409, key, subject="Other")
    assert other["name"] == "invalid_idempotent_request"
    too_long = await shop.send(400, {"Idempotency-Key": "x" * 257})
    assert too_long["name"] == "invalid_idempotency_key"

    async def at_once() -> str:
        answer = await shop.app.test_client().post(
            "/api/v1/emails",
            json={"from": "shop@mailroom.example", "to": "a@example.org", "subject": "s", "text": "t"},
            headers={"Authorization": f"Bearer {shop.secret}", "Idempotency-Key": "together"},
        )
        body = await answer.get_json()
        return body["id"] if answer.status_code == 200 else body["name"]

    told = await asyncio.gather(*(at_once() for _ in range(20)))
    assert len(set(told) - {"concurrent_idempotent_requests"}) == 1
    assert len(await rows(office, "select 1 from messages")) == 2


@pytest.mark.parametrize(
    ("headers", "status", "name"),
    [
        ({"Authorization": ""}, 401, "missing_api_key"),
        ({"Authorization": "Bearer mr_wrong"}, 403, "invalid_api_key"),
        ({"Authorization": "Basic eDp5"}, 403, "invalid_api_key"),
    ],
)
async def test_without_a_key_nothing_is_done(
    office: Office, headers: dict[str, str], status: int, name: str
) -> None:
    shop = await office.program()
    assert (await shop.send(status, headers))["name"] == name
    assert await rows(office, "select 1 from messages") == []


async def test_scopes_hold(office: Office) -> None:
    sending, reading = await office.program(scope="sending"), await office.program(scope="read")
    assert (await reading.send(401))["name"] == "restricted_api_key"
    sent = await sending.send()
    assert (await reading.call("GET", f"/emails/{sent['id']}"))["id"] == sent["id"]
    other = await office.program(scope="sending")
    assert (await other.call("GET", f"/emails/{sent['id']}", None, 404))["name"] == "not_found"
    assert (await other.call("GET", "/emails"))["data"] == []
    await other.call("POST", f"/emails/{sent['id']}/cancel", None, 404)
    bound = await office.program(domains=["shop.example"])
    assert "shop.example" in (await bound.send(403))["message"]
    await bound.send(**{"from": "x@shop.example"})
    await bound.call("GET", f"/emails/{sent['id']}", None, 404)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"from": "nobody"}, "from"),
        ({"to": []}, "to"),
        ({"to": [f"a{n}@example.org" for n in range(51)]}, "to"),
        ({"to": "a@example.org\r\nBcc: all@example.org"}, "to"),
        ({"subject": "a\nb"}, "subject"),
        ({"subject": None}, "subject"),
        ({"text": None}, "html"),
        ({"headers": {"X-A": "a\r\nBcc: b"}}, "headers"),
        ({"headers": {"From": "a@example.org"}}, "headers"),
        ({"attachments": [{"filename": "a", "path": "http://169.254.169.254/"}]}, "attachments"),
        ({"attachments": [{"filename": "a", "content": "no base64!"}]}, "attachments"),
        ({"scheduled_at": "in 1 hour"}, "scheduled_at"),
        ({"scheduled_at": "9999-12-31T23:59:59-23:59"}, "scheduled_at"),
        ({"scheduled_at": "2099-01-01"}, "scheduled_at"),
        ({"tags": [{"name": "a b", "value": "c"}]}, "tags"),
        ({"stream": "other"}, "stream"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_stored(
    office: Office, change: dict[str, Any], field: str
) -> None:
    shop = await office.program()
    refused = await shop.send(422, **change)
    assert refused["statusCode"] == 422 and refused["name"] == "validation_error"
    assert refused["message"].startswith(f"`{field}"), refused
    assert await rows(office, "select 1 from messages") == []


async def test_a_problem_document_goes_to_who_asks_for_one(office: Office) -> None:
    shop = await office.program()
    answer = await shop.app.test_client().post(
        "/api/v1/emails",
        json={},
        headers={"Authorization": f"Bearer {shop.secret}", "Accept": "application/problem+json"},
    )
    assert answer.content_type == "application/problem+json"
    assert (await answer.get_json())["detail"].startswith("`from`")
    for accept in ("application/json, application/problem+json;q=0.5", "*/*", "application/*", "text/html"):
        plain = await shop.call("POST", "/emails", {}, 422, {"Accept": accept})
        assert set(plain) == {"statusCode", "name", "message"}, accept
    for method, path, status in (
        ("GET", "/emails/x/y", 404),
        ("PUT", "/emails", 405),
        ("GET", "/emails/x", 404),
        ("GET", "/domains", 404),  # SDKs ask for what is not here, too, and read no other form
        ("GET", "", 404),
    ):
        body = await shop.call(method, path, None, status)
        assert set(body) == {"statusCode", "name", "message"}


async def test_files_of_a_megabyte_go_through_and_over_forty_do_not(office: Office) -> None:
    shop = await office.program()
    content = base64.b64encode(bytes(range(256)) * 4096).decode()
    sent = await shop.send(attachments=[{"filename": "a.bin", "content": content}])
    size = (await rows(office, f"select size from messages where id = '{sent['id']}'"))[0][0]
    assert size > 1_400_000
    answer = await shop.app.test_client().post(
        "/api/v1/emails",
        data=b" " * (40 * 1024 * 1024 + 1),
        headers={"Authorization": f"Bearer {shop.secret}", "Content-Type": "application/json"},
    )
    assert answer.status_code == 413 and "40 MB" in (await answer.get_json())["message"]
