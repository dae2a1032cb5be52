"""Tasks in the browser and the API over real services: whose they are, what they may do, long polls, exports."""

import asyncio
import csv
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
import redis
from quart.typing import TestAppProtocol as App
from quart.typing import TestClientProtocol as Client
from sqlalchemy import text, update

from mailroom.accounts.models import Account
from mailroom.bootstrap.web import create_web
from mailroom.kit.ids import new_id
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.tasks.models import Task
from mailroom.tasks.runs import TaskRuns
from mailroom.tasks.states import Outcome, TaskState
from mailroom.web.api.waits import MOST, Waits
from mailroom.web.parts import part_of

PASSWORD = "otter lamp quiet ferry window"


@dataclass
class Person:
    """A member and her browser, signed in."""

    browser: Client
    account_id: UUID
    services: Services

    async def get(self, path: str, status: int = 200) -> str:
        answer = await self.browser.get(path)
        assert answer.status_code == status, await answer.get_data(as_text=True)
        return await answer.get_data(as_text=True)

    async def post(self, path: str) -> tuple[int, str]:
        answer = await self.browser.post(path)
        return answer.status_code, answer.headers.get("Location", "")

    async def start(self, title: str = "A count", name: str = "count") -> UUID:
        async with self.services.database.begin() as work:
            return await self.services.task_service.start(work, name, title=title, owner_id=self.account_id)

    async def end(self, task: UUID, ending: Outcome) -> None:
        runs = TaskRuns(self.services.database)
        begun = await runs.begin(task, cancellable=True, again=False)
        await runs.end(begun, ending)  # type: ignore[arg-type]


@dataclass
class House:
    app: App
    services: Services

    async def member(self, email: str) -> Person:
        browser = self.app.test_client()
        await browser.get("/sign-up")
        answer = await browser.post("/sign-up", form={"email": email, "password": PASSWORD})
        ticket = answer.headers["Location"].rpartition("/")[2]
        from mailroom.accounts.tokens import Tokens
        from tests.conftest import SECRET_KEY

        async with self.services.database.begin() as work:
            mail = await self.services.outbox.find(work, UUID(ticket))
            assert mail
            assert mail.nonce
        link = f"/confirm/{Tokens([SECRET_KEY]).token(mail.id, mail.nonce)}"
        assert (await browser.post(link)).status_code == 303
        async with self.services.database.begin() as work:
            found = await work.session.execute(text("select id from accounts where email = :e"), {"e": email})
            return Person(browser, found.scalar_one(), self.services)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with create_web(settings.model_copy(update={"public_url": "http://localhost"})).test_app() as app:
        yield House(app, part_of(app.app, Services))


async def test_the_list_shows_ones_own_mails_and_tasks_newest_first_by_state_and_by_page(house: House) -> None:
    alice, bob = await house.member("alice@example.org"), await house.member("bob@example.org")
    await bob.start("Bob's own")
    first = await alice.start("Older")
    await alice.end(first, Outcome(TaskState.DONE, current=3, total=3))
    await alice.start("<b>Newer</b>")
    page = await alice.get("/tasks")
    assert page.index("&lt;b&gt;Newer") < page.index("Older") < page.index("Sign-up mail")
    assert "Bob" not in page
    done = await alice.get("/tasks?state=sent,done")
    assert "Older" in done
    assert "Newer" not in done
    body = json.loads(await alice.get("/api/v1/tasks?limit=2"))
    assert [task["title"] for task in body["tasks"]] == ["<b>Newer</b>", "Older"]
    assert (body["tasks"][1]["kind"], body["tasks"][1]["current"], body["next"]) == ("task", 3, str(first))
    rest = json.loads(await alice.get(f"/api/v1/tasks?before={body['next']}"))
    assert [(task["title"], task["kind"]) for task in rest["tasks"]] == [("Sign-up mail", "mail")]
    assert rest["next"] is None


async def test_the_list_is_for_who_is_signed_in(house: House) -> None:
    stranger = house.app.test_client()
    assert (await stranger.get("/tasks")).headers["Location"] == "/sign-in?next=/tasks"
    answer = await stranger.get("/api/v1/tasks")
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")


async def test_nobody_else_sees_cancels_or_repeats_a_task(house: House) -> None:
    alice, mallory = await house.member("alice@example.org"), await house.member("mallory@example.org")
    ticket = await alice.start()
    stranger = house.app.test_client()
    await stranger.post("/sign-up", form={"email": "bob@example.org", "password": PASSWORD})
    for guess in (ticket, new_id()):
        for browser in (mallory.browser, stranger, house.app.test_client()):
            for path in (f"/tasks/{guess}", f"/api/v1/tasks/{guess}", f"/account/export/{guess}"):
                assert (await browser.get(path)).status_code == 404, path
            for deed in ("cancel", "retry"):
                assert (await browser.post(f"/tasks/{guess}/{deed}")).status_code == 404
    assert "Waiting for a worker" in await alice.get(f"/tasks/{ticket}")
    assert await alice.post(f"/tasks/{ticket}/cancel") == (303, f"/tasks/{ticket}")
    assert "The task was cancelled" in await alice.get(f"/tasks/{ticket}")
    assert (await mallory.browser.post(f"/tasks/{ticket}/retry")).status_code == 404
    assert (await alice.post(f"/tasks/{ticket}/cancel"))[0] == 409
    assert await alice.post(f"/tasks/{ticket}/retry") == (303, f"/tasks/{ticket}")
    assert "Waiting for a worker" in await alice.get(f"/tasks/{ticket}")


async def test_mails_and_tasks_find_each_others_pages_and_a_mail_is_not_cancelled_as_a_task(house: House) -> None:
    alice = await house.member("alice@example.org")
    task = await alice.start()
    mail = json.loads(await alice.get("/api/v1/tasks"))["tasks"][1]["task"]
    assert (await alice.browser.get(f"/mails/{task}")).headers["Location"] == f"/tasks/{task}"
    assert (await alice.browser.get(f"/tasks/{mail}")).headers["Location"] == f"/mails/{mail}"
    assert (await alice.post(f"/tasks/{mail}/cancel"))[0] == 404


async def test_a_failed_task_shows_its_message_and_only_operators_its_traceback(house: House) -> None:
    alice, olga = await house.member("alice@example.org"), await house.member("olga@example.org")
    async with house.services.database.begin() as work:
        await work.session.execute(update(Account).where(Account.id == olga.account_id).values(is_operator=True))
    ticket = await alice.start()
    await alice.end(ticket, Outcome(TaskState.FAILED, error="too <dark>", traceback="File secret.py, line 1"))
    for page in (await alice.get(f"/tasks/{ticket}"), await olga.get(f"/tasks/{ticket}")):
        assert "too &lt;dark&gt;" in page
        assert 'action="/tasks/' in page
    assert "secret.py" not in await alice.get(f"/tasks/{ticket}")
    assert "secret.py" not in await alice.get(f"/api/v1/tasks/{ticket}")
    assert "secret.py" in await olga.get(f"/tasks/{ticket}")
    assert "secret.py" in await olga.get(f"/api/v1/tasks/{ticket}")


async def test_an_ended_task_is_readable_without_redis(house: House, settings: Settings) -> None:
    alice = await house.member("alice@example.org")
    ticket = await alice.start()
    await alice.end(ticket, Outcome(TaskState.DONE, current=2, total=2, message="All there"))
    with redis.Redis.from_url(settings.results) as server:
        server.flushdb()
    page = await alice.get(f"/tasks/{ticket}")
    assert "All there" in page
    assert "2 of 2" in page


async def etag(alice: Person, ticket: UUID) -> str:
    return (await alice.browser.get(f"/api/v1/tasks/{ticket}")).headers["ETag"]


async def wait_for_news(alice: Person, ticket: UUID, tag: str, wait: float) -> tuple[int, str, float]:
    began = time.monotonic()
    path = f"/api/v1/tasks/{ticket}?wait={wait}"
    answer = await alice.browser.get(path, headers={"If-None-Match": tag})
    return answer.status_code, await answer.get_data(as_text=True), time.monotonic() - began


async def test_a_long_poll_answers_with_the_news_or_after_its_time(house: House) -> None:
    alice = await house.member("alice@example.org")
    ticket = await alice.start()
    tag = await etag(alice, ticket)
    status, body, took = await wait_for_news(alice, ticket, tag, 0.6)
    assert (status, body) == (304, "")
    assert took >= 0.5
    waiting = asyncio.create_task(wait_for_news(alice, ticket, tag, 30))
    await asyncio.sleep(0.3)
    await alice.end(ticket, Outcome(TaskState.DONE))
    status, body, took = await waiting
    assert (status, json.loads(body)["state"]) == (200, "done")
    assert took < 15
    status, _, took = await wait_for_news(alice, ticket, tag, 30)  # what it knows holds no longer
    assert status == 200
    assert took < 15


async def test_long_polls_are_bounded_and_end_with_the_process(house: House) -> None:
    alice = await house.member("alice@example.org")
    ticket = await alice.start()
    tag = await etag(alice, ticket)
    waits = part_of(house.app.app, Waits)
    waiting = [asyncio.create_task(wait_for_news(alice, ticket, tag, 30)) for _ in range(MOST)]
    async with asyncio.timeout(20):
        while len(waits.waiting) < MOST:
            await asyncio.sleep(0.02)
    assert (await wait_for_news(alice, ticket, tag, 30))[0] == 429
    waits.end()
    assert {status for status, _, _ in await asyncio.gather(*waiting)} == {304}


async def test_an_export_is_its_owners_for_a_day_and_holds_nothing_secret(house: House) -> None:
    alice, olga = await house.member("alice@example.org"), await house.member("olga@example.org")
    async with house.services.database.begin() as work:
        await work.session.execute(update(Account).where(Account.id == olga.account_id).values(is_operator=True))
        await work.session.execute(text("update sessions set user_agent = '=HYPERLINK(\"evil\")'"))
    status, location = await alice.post("/account/export")
    ticket = UUID(location.rpartition("/")[2])
    assert (status, location) == (303, f"/tasks/{ticket}")
    assert await alice.post("/account/export") == (303, location)  # the same while it is under way
    assert "no longer kept" not in await alice.get(location)
    seen: list[tuple[int, int, str]] = []
    await house.services.exports.make(ticket, alice.account_id, lambda *said: seen.append(said))
    assert (seen[0][0], seen[-1][0]) == (0, seen[-1][1])
    await alice.end(ticket, Outcome(TaskState.DONE))
    assert "Download the file" in await alice.get(location)

    answer = await alice.browser.get(f"/account/export/{ticket}")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    packed = zipfile.ZipFile(io.BytesIO(await answer.get_data()))
    files = {name: packed.read(name).decode() for name in packed.namelist()}
    assert json.loads(files["account.json"])[0]["email"] == "alice@example.org"
    states = [mail["state"] for mail in json.loads(files["mails.json"])]
    assert states == ["sent", "queued"], "of the sign-up, and of the export"
    sessions = list(csv.DictReader(io.StringIO(files["sessions.csv"])))
    assert sessions[0]["browser"] == '\'=HYPERLINK("evil")'
    everything = "".join(files.values())
    assert "olga" not in everything
    for secret in ("argon2", "token", "nonce", "password_hash"):
        assert secret not in everything

    assert (await olga.browser.get(f"/account/export/{ticket}")).status_code == 404
    async with house.services.database.begin() as work:
        await work.session.execute(text("update exports set expires_at = now()"))
    assert "This file is deleted" in await alice.get(f"/account/export/{ticket}", 410)
    await house.services.exports.clean_up()
    async with house.services.database.begin() as work:
        assert (await work.session.execute(text("select count(*) from exports"))).scalar_one() == 0
        assert await work.session.get(Task, ticket)


async def test_an_unknown_address_of_the_api_answers_in_its_form(house: House) -> None:
    answer = await house.app.test_client().get("/api/v1/nothing", headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.content_type) == (404, "application/json")
    assert json.loads(await answer.get_data())["name"] == "not_found"


@pytest.mark.parametrize("path", ["/api/v1/tasks/nonsense", "/api/nothing", "/api"])
async def test_what_is_not_there_is_a_problem_document_for_programs(house: House, path: str) -> None:
    answer = await house.app.test_client().get(path, headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert json.loads(await answer.get_data())["title"] == "Page not found"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=abc", "limit"),
        ("limit=0", "limit"),
        ("limit=1000", "limit"),
        ("state=sent,bogus", "state"),
        ("before=xyz", "before"),
        ("stat=sent", "stat"),
        ("state=sent&state=failed", "state"),
    ],
)
async def test_a_query_that_cannot_be_meant_is_turned_away_with_what_to_do(
    house: House, query: str, field: str
) -> None:
    alice = await house.member("alice@example.org")
    answer = await alice.browser.get(f"/api/v1/tasks?{query}")
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    body = json.loads(await answer.get_data(as_text=True))
    assert [error["field"] for error in body["errors"]] == [field]
    assert body["errors"][0]["detail"]


async def test_a_wait_that_is_no_number_is_turned_away(house: House) -> None:
    alice = await house.member("alice@example.org")
    ticket = await alice.start()
    for wait in ("abc", "-1", "nan", "inf"):
        assert (await alice.browser.get(f"/api/v1/tasks/{ticket}?wait={wait}")).status_code == 422


async def test_an_address_without_a_page_knows_who_is_signed_in(house: House) -> None:
    alice = await house.member("alice@example.org")
    answer = await alice.browser.get("/nothing", headers={"Accept": "text/html"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 404
    assert "/account" in page and "/sign-in" not in page
