"""What another key has can be neither seen nor guessed: its mails, tags, webhooks, keys, tasks. On every route."""

import json
import re
from typing import Any
from uuid import uuid4

from tests.integration.web.api.conftest import Office, Program

NOWHERE = "0192f0c1-0000-7000-8000-000000000001"
HOOK = {"endpoint": "https://alice.example/private-hook", "events": ["email.sent"]}
PUT = """
insert into webhook_deliveries (id, endpoint_id, subject_id, type, payload, state, next_at)
values (%(id)s, %(webhook)s, %(id)s, 'email.sent', '{"to": "private@example.org"}', 'delivered', null)
"""


async def what_alice_has(office: Office, alice: Program) -> dict[str, str]:
    """Have Alice's program use everything; return the ids by their name in the routes."""
    sent = await alice.send(
        to="private@example.org",
        subject="Private",
        tags=[{"name": "private", "value": "tag"}],
        under={"Idempotency-Key": "order-17"},
        **{"from": "shop@alice.example"},
    )
    hook = await alice.call("POST", "/webhooks", HOOK, 201)
    made = await alice.call("POST", "/api-keys", {"name": "private key", "domain": "alice.example"}, 201)
    task, delivery = str(uuid4()), str(uuid4())
    await alice.call("POST", "/watch", {"task_id": task, "title": "Private"})
    async with office.services.database.begin() as work:
        await work.write(PUT, {"id": delivery, "webhook": hook["id"]})
    return {
        "email_id": sent["id"],
        "webhook_id": hook["id"],
        "delivery_id": delivery,
        "key_id": made["id"],
        "task_id": task,
        # Of the whole Mailroom: a key that sees only its own may not ask (test_desk.py).
        **{name: str(uuid4()) for name in ("action_id", "account_id", "sign_up_id", "invitation_id", "mail_id")},
    }


def routes(office: Office) -> list[tuple[str, str]]:
    """Return (method, path with its variables) of every route for programs."""
    found = [
        (method, rule.rule.removeprefix("/api/v1"))
        for rule in office.app.app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if rule.rule.startswith("/api/v1/") and not rule.rule.startswith("/api/v1/tasks")
    ]
    assert len(found) >= 18
    return found


async def ask(program: Program, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = await program.app.test_client().open(
        f"/api/v1{path}", method=method, json=body, headers={"Authorization": f"Bearer {program.secret}"}
    )
    return answer.status_code, await answer.get_data(as_text=True)


async def test_every_route_answers_for_another_keys_ids_as_for_unknown_ones(office: Office) -> None:
    alice = await office.program(domains=["alice.example"])
    ids = await what_alice_has(office, alice)
    bodies = {"PATCH": {"scheduled_at": "2099-01-01T00:00:00Z", "status": "disabled"}, "POST": {}}
    for mallory in (
        await office.program(domains=["mallory.example"]),
        await office.program(scope="sending"),
        await office.program(scope="sending", domains=["alice.example"]),
        await office.program(scope="read", domains=["alice.example"]),
        await office.program(test=True),
    ):
        for method, rule in routes(office):
            names = re.findall(r"<(\w+)>", rule)
            if "token" in names:
                continue  # tokens are no ids: tests/integration/web/test_embed.py
            hers, nobodys = rule, rule
            for name in names:
                hers = hers.replace(f"<{name}>", ids[name])
                nobodys = nobodys.replace(f"<{name}>", NOWHERE)
            told = await ask(mallory, method, hers, bodies.get(method))
            assert told == await ask(mallory, method, nobodys, bodies.get(method)) if names else True, (
                method,
                rule,
            )
            assert told[0] in {404, 401} if names else told[0] in {200, 401, 422}, (method, rule, told)
            for private in (*ids.values(), "rivate", "alice.example/"):
                assert private not in told[1], (method, rule, told)
    shown = await alice.call("GET", f"/emails/{ids['email_id']}")
    assert shown["last_event"] == "queued", "and nothing of hers was changed"
    assert [one["status"] for one in (await alice.call("GET", "/webhooks"))["data"]] == ["enabled"]
    assert ids["key_id"] in {key["id"] for key in (await alice.call("GET", "/api-keys"))["data"]}


async def test_tags_and_addresses_of_another_key_find_nothing_and_its_idempotency_keys_mean_nothing(
    office: Office,
) -> None:
    alice, mallory = await office.program(scope="sending"), await office.program(scope="sending")
    body = {"to": "private@example.org", "tags": [{"name": "order", "value": "17"}]}
    sent = await alice.send(under={"Idempotency-Key": "order-17"}, **body)
    for query in ("tag=order:17", "to=private@example.org", "state=queued", f"before={NOWHERE}", "limit=100"):
        assert (await alice.call("GET", f"/emails?{query}"))["data"] != [], query
        assert (await mallory.call("GET", f"/emails?{query}"))["data"] == [], query
    same = await mallory.send(under={"Idempotency-Key": "order-17"}, **body)
    assert same["id"] != sent["id"], "the same payload under the same key is hers, not the first one's answer"
    other = await mallory.send(409, {"Idempotency-Key": "order-17"}, subject="Other")
    assert sent["id"] not in json.dumps(other)


async def test_a_task_that_another_key_watches_cannot_be_watched_by_this_one(office: Office) -> None:
    alice, mallory = await office.program(), await office.program()
    task = str(uuid4())
    await alice.call("POST", "/watch", {"task_id": task})
    refused = await mallory.call("POST", "/watch", {"task_id": task, "title": "Mine"}, 409)
    assert task not in json.dumps(refused)
