"""The desk over real services: who is let in, and what operators do there."""

import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from quart.typing import TestClientProtocol as Client
from sqlalchemy import text

from mailroom.api_keys.keys import KeyRequest
from mailroom.bootstrap.web import create_web
from mailroom.desk.audit_log import Actor
from mailroom.kit.ids import new_id
from mailroom.mail.messages.addresses import Mailbox
from mailroom.mail.messages.draft import Draft
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.parts import part_of
from tests.integration.web.test_task_pages import House, Person

ANY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with create_web(settings.model_copy(update={"public_url": "http://localhost"})).test_app() as app:
        yield House(app, part_of(app.app, Services))


async def with_role(house: House, email: str, role: str) -> Person:
    person = await house.member(email)
    async with house.services.database.begin() as work:
        await house.services.operators.grant(work, email, role)  # type: ignore[arg-type]
    return person


async def audit(house: House) -> list[tuple[str, str, str | None, str | None]]:
    async with house.services.database.begin() as work:
        return [
            (e.action, e.actor_name, e.target_id, e.client) for e in await house.services.audit_log.entries(work)
        ]


def routes(house: House) -> list[tuple[str, str]]:
    found = [
        (re.sub(r"<[^>]+>", ANY, rule.rule), method)
        for rule in house.app.app.url_map.iter_rules()
        if rule.rule.startswith("/desk")
        for method in ("GET", "HEAD", "OPTIONS", "POST", "DELETE")
    ]
    assert len(found) >= 30
    return found


async def test_nobody_without_a_role_learns_that_the_desk_is_there(house: House) -> None:
    member = await house.member("alice@example.org")
    for browser in (house.app.test_client(), member.browser):
        for path, method in [*routes(house), ("/desk/nothing", "GET")]:
            answer = await browser.open(path, method=method)
            assert answer.status_code == 404, (path, method)
        assert ">Desk<" not in await (await browser.get("/account")).get_data(as_text=True)


async def test_a_viewer_reads_and_does_nothing(house: House) -> None:
    victor = await with_role(house, "victor@example.org", "viewer")
    olga = await with_role(house, "olga@example.org", "operator")
    await olga.browser.post("/desk/test-mail", form={"email": "carol@example.org"})
    for path, method in routes(house):
        if method not in {"GET", "HEAD", "OPTIONS"}:
            assert (await victor.browser.open(path, method=method)).status_code == 404, (path, method)
    assert (await victor.browser.get("/desk/test-mail")).status_code == 404
    keys, log = await victor.get("/desk/keys"), await victor.get("/desk/audit")
    assert ">Desk<" in keys and "Test mail" not in keys
    assert 'action="/desk' not in keys
    assert "mail.tested" in log and "o…@example.org" in log and "c…@example.org" in log
    for hidden in ("olga@", "carol@", "127.0.0.1", "localhost"):
        assert hidden not in log, hidden
    assert [act[0] for act in await audit(house)] == ["mail.tested"]


async def test_a_role_that_is_revoked_ends_with_the_next_request(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    await olga.get("/desk/keys")
    async with house.services.database.begin() as work:
        await house.services.operators.revoke(work, "olga@example.org")
    await olga.get("/desk/keys", 404)


async def test_an_operator_makes_a_key_sees_it_once_and_revokes_it(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    sent = {
        "name": "<b>Shop</b>",
        "scope": "sending",
        "domains": "shop.example, Straße.example",
        "origins": "https://shop.example",
        "per_minute": "10",
        "per_day": "",
        "days": "7",
        "test": "1",
    }
    answer = await olga.browser.post("/desk/keys", form=sent)
    page = await answer.get_data(as_text=True)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    found = re.search(r'class="secret">(mr_\w+)<', page)
    assert found
    key = await house.services.api_keys.authenticate(found[1])
    assert (key.name, key.scope, key.test, key.owner_id) == ("<b>Shop</b>", "sending", True, olga.account_id)
    assert (list(key.domains), list(key.origins)) == (
        ["shop.example", "xn--strae-oqa.example"],
        ["https://shop.example"],
    )
    assert (key.per_minute, key.per_hour, key.per_day) == (10, None, None)
    listed = await olga.get("/desk/keys")
    assert found[1] not in listed
    for words in (
        found[1][:8],
        "&lt;b&gt;Shop&lt;/b&gt;",
        "https://shop.example",
        "10 a minute",
        "Expires",
        "no mail",
    ):
        assert words in listed, words
    assert await olga.post(f"/desk/keys/{key.id}/revoke") == (303, "/desk/keys")
    assert await olga.post(f"/desk/keys/{key.id}/revoke") == (303, "/desk/keys")  # once more changes nothing
    assert await house.services.api_keys.standing([key.id]) == set()
    assert "Shop" not in await olga.get("/desk/keys")
    assert "revoked" in await olga.get("/desk/keys?revoked=1")
    acts = await audit(house)
    assert [(act[0], act[1], act[2]) for act in acts] == [
        ("key.revoked", "olga@example.org", str(key.id)),
        ("key.created", "olga@example.org", str(key.id)),
    ]
    assert all(act[3] for act in acts), "with the client's address"
    for unknown in (ANY, "nonsense"):
        assert (await olga.post(f"/desk/keys/{unknown}/revoke"))[0] == 404


async def test_a_key_that_cannot_be_made_is_refused_with_all_that_is_wrong(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    sent = {
        "name": " ",
        "scope": "everything",
        "domains": "not_a_domain",
        "origins": "shop.example/path",
        "per_minute": "0",
        "per_hour": "many",
        "per_day": "2147483648",
        "days": "0",
    }
    answer = await olga.browser.post("/desk/keys", form=sent)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert page.count('class="message"') == len(sent)
    assert 'value="not_a_domain"' in page
    problem = await olga.browser.post("/desk/keys", json=sent, headers={"Accept": "application/json"})
    assert problem.status_code == 422
    assert {error["field"] for error in (await problem.get_json())["errors"]} == sent.keys()
    async with house.services.database.begin() as work:
        assert not await house.services.api_keys.list(work)
    assert await audit(house) == []


async def test_a_key_shows_the_mails_of_its_last_day_by_state(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    have = house.services
    async with have.database.begin() as work:
        _, secret = await have.api_keys.create(work, KeyRequest("Shop"))
        await have.api_keys.create(work, KeyRequest("Other"))
    key = await have.api_keys.authenticate(secret)
    drafts = [
        Draft(
            sender=Mailbox("", "shop@example.org"),
            to=[Mailbox("", f"{name}@example.net")],
            subject="Hi",
            text="Hi",
        )
        for name in ("a", "b", "c")
    ]
    async with have.database.begin() as work:
        ids = await have.acceptance.accept(work, key, drafts)
        await work.session.execute(
            text("update mails set state = 'failed' where message_id = :id"), {"id": ids[0]}
        )
    page = await olga.get("/desk/keys")
    assert "Queued: 2, Failed: 1" in page
    assert page.index("Other") < page.index("no mail") < page.index("Queued: 2"), "the other key has none"


async def pages(browser: Client, path: str) -> list[int]:
    """Return the numbers of the entries of every page, in order."""
    found: list[int] = []
    while path:
        page = await (await browser.get(path)).get_data(as_text=True)
        found += [int(number) for number in re.findall(r"number: (\d+)", page)]
        older = re.search(r'href="([^"]*before=\d+)"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    return found


async def test_the_audit_log_is_read_by_page_and_of_one_actor_or_target(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    actors, targets = [new_id(), new_id()], [new_id(), new_id()]
    async with house.services.database.begin() as work:
        for number in range(130):
            actor = Actor("key", f"key {number % 2}", actors[number % 2], "192.0.2.7")
            await house.services.audit_log.write(
                work,
                actor,
                "message.cancelled",
                target="message",
                target_id=targets[number % 65 == 0],
                details={"number": number},
            )
    newest = list(range(129, -1, -1))
    assert await pages(olga.browser, "/desk/audit") == newest
    assert await pages(olga.browser, f"/desk/audit?actor={actors[1]}") == newest[::2]
    assert await pages(olga.browser, f"/desk/audit?target={targets[1]}") == [65, 0]
    assert await pages(olga.browser, f"/desk/audit?target={targets[1]}&actor={actors[0]}") == [0]
    assert "192.0.2.7" in await olga.get("/desk/audit")
    for nonsense in ("before=x", "before=0", f"before={'9' * 90}", "actor=x", "target=nothing"):
        await olga.get(f"/desk/audit?{nonsense}")
    assert "Nothing is older" in await olga.get("/desk/audit?before=1")


async def test_a_test_mail_goes_to_its_live_page_and_belongs_to_the_operator(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    alice = await house.member("alice@example.org")
    answer = await olga.browser.post("/desk/test-mail", form={"email": "nonsense"})
    assert answer.status_code == 422
    answer = await olga.browser.post("/desk/test-mail", form={"email": " Carol@example.org "})
    place = answer.headers["Location"]
    assert (answer.status_code, place[:7]) == (303, "/mails/")
    assert "Carol@example.org" in await olga.get(place)
    await alice.get(place, 404)
    async with house.services.database.begin() as work:
        mail = await house.services.outbox.find(work, UUID(place[7:]))
    assert mail
    assert (mail.kind, mail.recipient, mail.params["subject"]) == (
        "plain",
        "Carol@example.org",
        "Test mail from Mailroom",
    )
    assert [act[:3] for act in await audit(house)] == [("mail.tested", "olga@example.org", place[7:])]


async def test_what_was_refused_to_a_key_is_shown_with_it_and_nothing_of_its_contents(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    have = house.services
    async with have.database.begin() as work:
        row, secret = await have.api_keys.create(work, KeyRequest("Shop", scope="sending"))
    program = house.app.test_client()

    async def ask(method: str, path: str, body: object = None) -> int:
        have.key_refusals._noted.clear()  # as if each came a moment later
        bearer = {"Authorization": f"Bearer {secret}"}
        return (await program.open(f"/api/v1{path}", method=method, headers=bearer, json=body)).status_code

    mail = {"from": "shop@example.org", "to": "no-address-but-private", "subject": "s", "text": "t"}
    assert await ask("POST", "/emails", mail) == 422
    assert await ask("GET", "/api-keys") == 401
    assert await ask("GET", "/emails/private-number") == 404
    listed, page = await olga.get("/desk/keys"), await olga.get(f"/desk/keys/{row.id}")
    assert "404 not_found" in listed and f'href="/desk/keys/{row.id}"' in listed
    places = [page.index(words) for words in ("404 not_found", "401 restricted_api_key", "422 validation_error")]
    assert places == sorted(places), "the newest first"
    assert (
        "<code>to</code>" in page
        and "POST /api/v1/emails" in page
        and "GET /api/v1/emails/&lt;email_id&gt;" in page
    )
    assert "private" not in page
    async with have.database.begin() as work:
        await have.api_keys.revoke(work, row.id)
    assert await ask("GET", "/emails") == 403
    assert "403 invalid_api_key" in await olga.get(f"/desk/keys/{row.id}"), "a revoked key that is still in use"
    for _ in range(60):
        await ask("GET", "/emails")
    assert (await olga.get(f"/desk/keys/{row.id}")).count("<code>403 invalid_api_key") == 50
    for unknown in (ANY, "nonsense"):
        await olga.get(f"/desk/keys/{unknown}", 404)


async def test_a_program_that_loops_writes_few_refusals(house: House) -> None:
    async with house.services.database.begin() as work:
        row, secret = await house.services.api_keys.create(work, KeyRequest("Shop"))
    for _ in range(20):
        await house.app.test_client().get("/api/v1/emails/x", headers={"Authorization": f"Bearer {secret}"})
    async with house.services.database.begin() as work:
        assert len(await house.services.key_refusals.newest(work, row.id)) < 20
