"""Webhooks with a real PostgreSQL and a real receiver, checked by the libraries that receivers use."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import resend
import standardwebhooks
import svix
from sqlalchemy import text

from mailroom.api_keys.keys import Key, KeyRequest
from mailroom.bootstrap.services import create_services, webhook_box
from mailroom.events.log import note
from mailroom.kit import clock
from mailroom.kit.ids import new_id
from mailroom.mail.messages.draft import Draft, Mailbox
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.tasks.runs import TaskRuns
from mailroom.tasks.states import Outcome, TaskState
from mailroom.webhooks import sender
from mailroom.webhooks.fan_out import FanOut
from mailroom.webhooks.sender import AT_ONCE_EACH, AT_ONCE_FAILING, WebhookSender

SHOP = Mailbox("", "shop@mailroom.example")
ALL = [
    "email.sent",
    "email.failed",
    "email.scheduled",
    "email.delivery_delayed",
    "task.ended",
    "account.confirmed",
]


class Receiver:
    """A server that keeps what it is told, and answers as it should."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("content-length", "0")
                self.send_header("location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hooks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


class Office:
    def __init__(self, services: Services, sender: WebhookSender) -> None:
        self.services, self.sender = services, sender
        self.fan_out = FanOut(services.database)

    async def key(self, **options: Any) -> Key:
        async with self.services.database.begin() as work:
            _, secret = await self.services.api_keys.create(work, KeyRequest("shop", **options))
        return await self.services.api_keys.authenticate(secret)

    async def endpoint(self, url: str, key: Key, events: list[str] = ALL) -> tuple[Any, str]:
        async with self.services.database.begin() as work:
            return await self.services.webhooks.create(work, url, events, key=key)

    async def put(self, key: Key, **options: Any) -> None:
        draft = Draft(
            **{"sender": SHOP, "to": [Mailbox("", "alice@example.org")], "subject": "Hi", "text": "Hi", **options}
        )
        async with self.services.database.begin_plain() as work:
            await self.services.acceptance.accept(work, key, [draft])

    async def sql(self, statement: str) -> list[Any]:
        async with self.services.database.begin() as work:
            found = await work.session.execute(text(statement))
            return list(found.all()) if found.returns_rows else []

    async def happened(self, *types: str) -> None:
        for kind in types:
            await self.sql(f"insert into mail_events (mail_id, type, attempt) select id, '{kind}', 1 from mails")

    async def round(self) -> None:
        await self.fan_out.run()
        while await self.sender.send_due():
            await self.sender.drain()
        await self.sender.drain()


@pytest.fixture
async def office(settings: Settings) -> AsyncIterator[Office]:
    changed = settings.model_copy(update={"mail_from": "hello@mailroom.example", "webhook_private_networks": True})
    services = create_services(changed, lambda _ids: None, lambda *_: None, name="test")
    sender = WebhookSender(services.database, webhook_box(changed), services.outbox, private=True)
    yield Office(services, sender)
    await sender.stop()
    await services.database.close()


async def test_an_event_is_told_once_and_every_library_takes_the_signature(
    office: Office, receiver: Receiver
) -> None:
    key = await office.key()
    _, secret = await office.endpoint(receiver.url, key)
    await office.put(key, tags={"order": "17"})
    await office.happened("sent")
    await office.round()
    await office.round()
    assert receiver.types == ["email.sent"]
    headers, body = receiver.got[0]
    standardwebhooks.Webhook(secret).verify(body, headers)
    svix.Webhook(secret).verify(body, headers)
    resend.Webhooks.verify(
        {
            "payload": body.decode(),
            "headers": {
                "id": headers["svix-id"],
                "timestamp": headers["svix-timestamp"],
                "signature": headers["svix-signature"],
            },
            "webhook_secret": secret,
        }
    )
    data = json.loads(body)["data"]
    assert (data["to"], data["from"], data["tags"]) == (
        ["alice@example.org"],
        "shop@mailroom.example",
        {"order": "17"},
    )
    stored = str(await office.sql("select secret from webhook_endpoints"))
    assert secret.removeprefix("whsec_") not in stored


async def test_a_scheduled_message_is_told_when_it_is_stored(office: Office, receiver: Receiver) -> None:
    key = await office.key()
    await office.endpoint(receiver.url, key)
    await office.put(key, scheduled_at=clock.now() + timedelta(hours=1))
    await office.put(key)
    await office.round()
    assert receiver.types == ["email.scheduled"]


async def test_a_failed_delivery_comes_again_under_its_id_and_those_of_its_mail_wait_behind_it(
    office: Office, receiver: Receiver
) -> None:
    key = await office.key()
    await office.endpoint(receiver.url, key)
    receiver.statuses = [500, 302]
    await office.put(key)
    await office.happened("delivery_delayed", "sent")
    await office.round()
    assert receiver.types == ["email.delivery_delayed"]
    waits = await office.sql(
        "select attempts, extract(epoch from next_at - now()), status from webhook_deliveries order by number"
    )
    assert (waits[0][0], waits[0][2]) == (1, 500) and 3 < float(waits[0][1]) < 6
    for _ in range(2):
        await office.sql(
            "update webhook_deliveries set next_at = now() where attempts > 0 and next_at is not null"
        )
        await office.round()
    assert receiver.types == ["email.delivery_delayed"] * 3 + ["email.sent"], "302 is not followed and no success"
    assert len({headers["webhook-id"] for headers, _ in receiver.got[:3]}) == 1
    assert await office.sql("select distinct state from webhook_deliveries") == [("delivered",)]


async def test_an_endpoint_that_is_gone_or_fails_for_days_is_disabled(office: Office, receiver: Receiver) -> None:
    key = await office.key()
    await office.endpoint(receiver.url, key)
    receiver.statuses = [410]
    await office.put(key)
    await office.happened("sent", "failed")
    await office.round()
    assert await office.sql("select disabled_reason from webhook_endpoints") == [("gone",)]
    assert len(receiver.got) == 1 and await office.sql("select state from webhook_deliveries") == [("failed",)] * 2
    await office.sql("delete from webhook_endpoints")
    await office.endpoint(receiver.url, key)
    await office.happened("sent")
    await office.sql("update webhook_endpoints set failing_since = now() - interval '6 days'")
    receiver.statuses = [500]
    await office.round()
    assert await office.sql("select disabled_reason from webhook_endpoints") == [("failing",)]


async def test_its_owner_is_told_by_mail(office: Office, receiver: Receiver) -> None:
    await office.sql(
        "insert into accounts (id, email, email_key, password_hash) values "
        "('0192f0c1-0000-7000-8000-000000000001', 'olga@example.org', 'olga@example.org', 'x')"
    )
    key = await office.key()
    await office.endpoint(receiver.url, key)
    await office.sql("update webhook_endpoints set owner_id = '0192f0c1-0000-7000-8000-000000000001'")
    receiver.statuses = [410]
    await office.put(key)
    await office.happened("sent")
    await office.round()
    told = await office.sql("select recipient, params->>'reason' from mails where kind = 'webhook_disabled'")
    assert told == [("olga@example.org", "gone")]


async def test_an_event_that_commits_late_is_not_passed_over(office: Office, receiver: Receiver) -> None:
    """Its id and its transaction are older than those of what was read meanwhile."""
    key = await office.key()
    await office.endpoint(receiver.url, key)
    account = new_id()
    async with office.services.database.begin() as late:
        await note(late, "account.confirmed", account, {"number": 1})
        async with office.services.database.begin() as early:
            await note(early, "account.confirmed", new_id(), {"number": 2})
        await office.round()
        assert receiver.got == [], "what is newer than an open transaction waits for it"
    await office.round()
    assert sorted(json.loads(body)["data"]["number"] for _, body in receiver.got) == [1, 2]


async def test_a_key_that_sees_only_its_own_is_told_only_of_its_own(office: Office, receiver: Receiver) -> None:
    bound, other = await office.key(domains=["mailroom.example"]), await office.key()
    await office.endpoint(receiver.url, bound)
    await office.put(other)
    await office.happened("sent")
    await office.round()
    assert receiver.got == []
    await office.put(bound)
    await office.sql("delete from mail_events")
    await office.happened("sent")
    await office.round()
    assert receiver.types == ["email.sent"]


async def test_a_dead_endpoint_keeps_no_other_from_its_own(office: Office, receiver: Receiver) -> None:
    key = await office.key()
    await office.endpoint("http://127.0.0.1:1/", key)
    await office.endpoint(receiver.url, key)
    for _ in range(30):
        await office.put(key)
    await office.happened("sent")
    await office.round()
    assert len(receiver.got) == 30
    failed = await office.sql("select distinct error, attempts from webhook_deliveries where state = 'waiting'")
    assert failed == [("unreachable", 1)]


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


async def have_waiting(office: Office, endpoint: Any, count: int) -> None:
    await office.sql(
        "insert into webhook_deliveries (id, endpoint_id, subject_id, type, payload)"
        f" select gen_random_uuid(), '{endpoint.id}', gen_random_uuid(), 'email.sent', '{{}}'"
        f" from generate_series(1, {count})"
    )


@pytest.mark.parametrize(("endpoints", "fails"), [(1, False), (12, True)])
async def test_silent_endpoints_with_thousands_of_deliveries_keep_no_other_from_its_own(
    office: Office, receiver: Receiver, silent: str, endpoints: int, fails: bool
) -> None:
    key = await office.key()
    dead = [(await office.endpoint(silent, key))[0] for _ in range(endpoints)]
    await office.endpoint(receiver.url, key)
    for one in dead:
        await have_waiting(office, one, 3000 // endpoints)
    if fails:
        await office.sql(f"update webhook_endpoints set failing_since = now() where url = '{silent}'")
    await office.put(key)
    await office.happened("sent")
    for number in range(10):
        await office.fan_out.run()
        for _ in range(3):  # more rounds come while the silent ones' attempts last
            await office.sender.send_due()
            await asyncio.sleep(0.05)
        assert len(receiver.got) == number + 1, "it is told at once"
        await office.happened("sent")
    most = AT_ONCE_FAILING if fails else AT_ONCE_EACH
    assert [office.sender.under_way(one.id) for one in dead] == [most] * endpoints


async def test_what_is_under_way_when_an_endpoint_is_disabled_does_not_wait_again(
    office: Office, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SECONDS", 0.3)
    key = await office.key()
    dead, _ = await office.endpoint(silent, key)
    await have_waiting(office, dead, 5)
    assert await office.sender.send_due()
    async with office.services.database.begin() as work:
        endpoint = await office.services.webhooks.get(work, dead.id, key)
        await office.services.webhooks.change(work, endpoint, enabled=False)
    await office.sender.drain()
    assert await office.sql("select distinct state, error, next_at from webhook_deliveries") == [
        ("failed", "disabled", None)
    ]
    await have_waiting(office, dead, 1)  # written while it was being disabled
    assert not await office.sender.send_due()


async def test_what_waits_behind_a_failed_delivery_is_put_off_with_it_and_goes_at_once_after_it(
    office: Office, receiver: Receiver
) -> None:
    key = await office.key()
    await office.endpoint(receiver.url, key, ["email.scheduled", "email.sent", "email.failed"])
    await office.put(key)
    await office.happened("scheduled", "sent")
    receiver.statuses = [500]
    await office.round()
    await office.sql("update webhook_deliveries set attempts = 2 where attempts = 1")
    first, second = await office.sql("select next_at from webhook_deliveries order by number")
    assert first == second and len(receiver.got) == 1
    await office.sql("update webhook_deliveries set next_at = now() + interval '2 h'")
    await office.sql("update webhook_deliveries set next_at = now() where attempts > 0")
    await office.round()
    assert receiver.types == ["email.scheduled", "email.scheduled", "email.sent"]


async def test_a_delivery_can_be_sent_again_by_hand(office: Office, receiver: Receiver) -> None:
    key = await office.key()
    endpoint, _ = await office.endpoint(receiver.url, key)
    await office.put(key)
    await office.happened("sent")
    await office.round()
    async with office.services.database.begin() as work:
        (delivery,) = await office.services.webhooks.deliveries(work, endpoint)
        await office.services.webhooks.replay(work, endpoint, delivery.id)
    await office.round()
    first, second = (headers["webhook-id"] for headers, _ in receiver.got)
    assert first == second == str(delivery.id)
    await asyncio.sleep(0)


async def test_the_end_of_a_task_is_told_once_and_of_its_parts_not(office: Office, receiver: Receiver) -> None:
    key = await office.key()
    await office.endpoint(receiver.url, key)
    runs = TaskRuns(office.services.database)
    async with office.services.database.begin() as work:
        alone = await office.services.task_service.start(work, "count", title="Count", owner_id=None)
        group = await office.services.task_service.start_group(
            work, [("count", []), ("count", [])], title="Two", owner_id=None
        )
    parts = [row[0] for row in await office.sql("select id from tasks where part_of is not null order by place")]
    for task in (alone, *parts):
        run = await runs.begin(task, cancellable=False, again=False)
        await runs.end(run, Outcome(TaskState.DONE))
    await office.round()
    told = [json.loads(body)["data"] for _, body in receiver.got]
    assert sorted((one["task_id"], one["state"]) for one in told) == sorted(
        [(str(alone), "done"), (str(group), "done")]
    )
