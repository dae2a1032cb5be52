"""Messages in a real PostgreSQL: one content, a mail for each recipient, all or nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy import select, text

from mailroom.api_keys.acceptance import Acceptance
from mailroom.api_keys.errors import ConcurrentRequest, IdempotencyConflict, InvalidKey
from mailroom.api_keys.idempotency import answered_before, fingerprint_of, keep_answer
from mailroom.api_keys.keys import ApiKeys, Key, KeyRequest
from mailroom.api_keys.sending_limits import SendingLimits
from mailroom.kit.database import Database
from mailroom.kit.postgres_connection import PostgresConnection
from mailroom.mail.messages.draft import Attachment, Draft, InvalidMessage, Mailbox
from mailroom.mail.messages.retention import MessageRetention
from mailroom.mail.messages.rows import COPIED
from mailroom.mail.messages.store import MessageStore
from mailroom.mail.messages.views import Filter, find_message, list_messages
from mailroom.mail.models import Mail
from mailroom.settings import Settings
from tests.faults.silent_proxy import Direction, SilentProxy

SHOP = Mailbox("Shop", "shop@shop.example")
ALICE, BOB, CAROL = (Mailbox("", f"{name}@example.org") for name in ("alice", "bob", "carol"))


class Office:
    """The store, keys, and who was told of what."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings.database_url, connections=4, name="test")
        self.told: list[UUID] = []
        self.store = MessageStore(self.database, self.told.extend, domain="shop.example")
        self.keys = ApiKeys(self.database, default_domain="shop.example")

    async def key(self, **options: Any) -> Key:
        async with self.database.begin() as work:
            _, secret = await self.keys.create(work, KeyRequest("shop", **options))
        return await self.keys.authenticate(secret)

    async def sql(self, statement: str) -> None:
        async with self.database.begin() as work:
            await work.session.execute(text(statement))

    async def count(self, table: str) -> int:
        async with self.database.begin() as work:
            return int((await work.session.execute(text(f"select count(*) from {table}"))).scalar_one())


@pytest.fixture
async def office(settings: Settings) -> AsyncIterator[Office]:
    office = Office(settings)
    yield office
    await office.database.close()


def hello(**options: Any) -> Draft:
    return Draft(**{"sender": SHOP, "to": [ALICE], "subject": "Hello", "text": "Hi", **options})


async def test_one_content_and_a_mail_for_each_recipient(office: Office) -> None:
    key = await office.key()
    async with office.database.begin_plain() as work:
        message_id = await office.store.put(work, hello(cc=[BOB], bcc=[CAROL]), key_id=key.id)
        assert office.told == []
    assert (
        len(office.told) == 3 and await office.count("message_contents") == 1 and await office.count("tasks") == 0
    )
    async with office.database.begin() as work:
        found = await find_message(work, message_id)
    assert found is not None and found.content is not None and b"carol" not in found.content
    assert [one.mail.recipient for one in found.recipients] == [
        "alice@example.org",
        "bob@example.org",
        "carol@example.org",
    ]
    assert found.last_event == "queued" and found.message.bcc_addresses == ["carol@example.org"]


async def test_a_batch_is_written_whole_or_not_at_all(office: Office) -> None:
    key = await office.key()
    with pytest.raises(InvalidMessage):
        async with office.database.begin_plain() as work:
            await office.store.put_many(work, [hello(), hello(to=[])], key_id=key.id)
    assert await office.count("messages") == 0 and office.told == []
    async with office.database.begin_plain() as work:
        ids = await office.store.put_many(work, [hello(subject=f"No {n}") for n in range(500)], key_id=key.id)
    assert len(ids) == await office.count("mails") == 500


@pytest.mark.parametrize("alone", [True, False], ids=["by itself", "in a transaction"])
async def test_a_large_message_is_copied_in_beside_small_ones_whole(office: Office, alone: bool) -> None:
    file = Attachment("a.bin", random.randbytes(5_000_000), "application/octet-stream")
    rows = office.store.rows_of_drafts([hello(), hello(attachments=[file]), hello(subject="Last")], key_id=None)
    assert [one.is_copied for one in rows] == [False, True, False]
    if alone:
        await office.store.commit(rows)
    else:
        async with office.database.begin_plain() as work:
            await office.store.write(work, rows)
    assert len(office.told) == 3
    for one in rows:
        async with office.database.begin() as work:
            found = await find_message(work, one.id)
        assert found is not None and found.content == one.content


@pytest.mark.parametrize("stored", [True, False], ids=["the answer was lost", "nothing was stored"])
async def test_a_large_message_is_stored_once_where_its_connection_is_lost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    monkeypatch.setattr(PostgresConnection, "answer_seconds", 0.5)
    file = Attachment("a.bin", random.randbytes(COPIED), "application/octet-stream")
    port = urlsplit(settings.database_url).port or 0
    with SilentProxy("127.0.0.1", port) as proxy:
        behind = settings.database_url.replace(f":{port}/", f":{proxy.port}/")
        office = Office(settings.model_copy(update={"database_url": behind}))
        rows = office.store.rows_of_drafts([hello(attachments=[file])], key_id=None)
        trigger = proxy.silence_after(b"commit", Direction.TO_CLIENT if stored else Direction.TO_SERVER, times=1)
        await office.store.commit(rows)
        assert trigger.times == 0, "the connection was lost"
        assert await office.count("messages") == await office.count("mails") == 1
        assert await office.count("message_contents") == 1 and len(office.told) == 1
        await office.database.close()


async def test_a_large_message_whose_copying_fails_is_not_written_at_all(office: Office) -> None:
    file = Attachment("a.bin", bytes(COPIED), "application/octet-stream")
    rows = office.store.rows_of_drafts([hello(attachments=[file])], key_id=None)
    with pytest.raises(UniqueViolation):
        await office.store.commit([*rows, *rows])
    assert await office.count("messages") == await office.count("mails") == 0 and office.told == []


async def test_a_scheduled_message_waits_and_nobody_is_told(office: Office) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    async with office.database.begin_plain() as work:
        message_id = await office.store.put(work, hello(scheduled_at=due), key_id=None)
    async with office.database.begin() as work:
        found = await find_message(work, message_id)
    assert found is not None and found.last_event == "scheduled" and office.told == []
    mail = found.recipients[0].mail
    assert mail.nudge_at == mail.next_attempt_at == due and mail.expires_at > due
    assert [event.type for event in found.recipients[0].events] == ["scheduled"]


async def test_a_list_goes_by_pages_both_ways_and_by_what_one_looks_for(office: Office) -> None:
    key, other = await office.key(), await office.key()
    async with office.database.begin_plain() as work:
        ids = await office.store.put_many(
            work, [hello(subject=str(n), tags={"n": str(n % 2)}) for n in range(5)], key_id=key.id
        )
        await office.store.put(work, hello(to=[BOB]), key_id=other.id)
    async with office.database.begin() as work:
        newest, more = await list_messages(work, Filter(key_id=key.id), limit=2)
        assert [found.message.id for found in newest] == [ids[4], ids[3]] and more
        older, _ = await list_messages(work, Filter(key_id=key.id, after=ids[3]), limit=2)
        assert [found.message.id for found in older] == [ids[2], ids[1]]
        newer, more = await list_messages(work, Filter(key_id=key.id, before=ids[2]), limit=2)
        assert [found.message.id for found in newer] == [ids[4], ids[3]] and not more
        tagged, _ = await list_messages(work, Filter(key_id=key.id, tag=("n", "1")), limit=10)
        assert [found.message.id for found in tagged] == [ids[3], ids[1]]
        to_bob, _ = await list_messages(work, Filter(to="BOB@example.org"), limit=10)
        assert len(to_bob) == 1 and to_bob[0].message.key_id == other.id
        assert await find_message(work, ids[0], key_id=other.id) is None


async def test_a_key_is_found_by_itself_alone_and_not_once_revoked(office: Office) -> None:
    async with office.database.begin() as work:
        row, secret = await office.keys.create(
            work, KeyRequest("shop", scope="sending", origins=["https://a.test"])
        )
    key = await office.keys.authenticate(secret)
    assert key.id == row.id and key.may_send and key.sees_only_its_own
    with pytest.raises(InvalidKey):
        await office.keys.authenticate(secret[:-1] + "!")
    async with office.database.begin() as work:
        dump = (await work.session.execute(text("select k::text from api_keys k"))).scalar_one()
        assert secret not in dump and secret[9:] not in dump
        await office.keys.revoke(work, key.id)
    with pytest.raises(InvalidKey):
        await office.keys.authenticate(secret)
    assert await office.keys.standing([key.id]) == set()


async def test_a_repeat_gets_the_first_answer_and_another_payload_is_told(office: Office) -> None:
    key = await office.key()
    same, other = fingerprint_of("/emails", b"{}"), fingerprint_of("/emails", b"{ }")
    async with office.database.begin_plain() as work:
        assert await answered_before(work, key.id, "order-1", same) is None
        message_id = await office.store.put(work, hello(), key_id=key.id)
        await keep_answer(work, key.id, "order-1", same, [message_id])
        async with office.database.begin_plain() as second:
            with pytest.raises(ConcurrentRequest):
                await answered_before(second, key.id, "order-1", same)
    async with office.database.begin_plain() as work:
        assert await answered_before(work, key.id, "order-1", same) == [message_id]
        with pytest.raises(IdempotencyConflict):
            await answered_before(work, key.id, "order-1", other)


async def test_what_is_over_a_limit_waits_its_turn_and_says_so(office: Office) -> None:
    key = await office.key(per_minute=10)
    limits = SendingLimits(per_minute=None, domains={"example.net": 2})
    acceptance = Acceptance(office.database, office.keys, office.store, limits)
    async with office.database.begin_plain() as work:
        await acceptance.accept(work, key, [hello() for _ in range(25)])
    async with office.database.begin() as work:
        mails = (await work.session.scalars(select(Mail).order_by(Mail.id))).all()
    assert [mail.state for mail in mails] == ["queued"] * 10 + ["scheduled"] * 15
    waits = [
        (mail.next_attempt_at - mails[0].created_at).total_seconds() for mail in mails if mail.next_attempt_at
    ]
    assert waits == pytest.approx([6 * number for number in range(1, 16)], abs=0.5)
    assert {mail.reason for mail in mails[10:]} == {"limited"}
    other = await office.key()
    async with office.database.begin_plain() as work:
        ids = await acceptance.accept(work, other, [hello(to=[Mailbox("", "x@example.net")]) for _ in range(3)])
    async with office.database.begin() as work:
        found = [await find_message(work, message_id) for message_id in ids]
    assert [one.last_event for one in found if one] == ["queued", "queued", "scheduled"]


async def test_a_limit_that_was_not_used_up_comes_back_with_the_rollback(office: Office) -> None:
    key, limits = await office.key(per_minute=1), SendingLimits()
    with suppress(RuntimeError):
        async with office.database.begin_plain() as work:
            assert await limits.turns(work, key, [["a@example.org"]]) == [None]
            raise RuntimeError
    async with office.database.begin_plain() as work:
        assert await limits.turns(work, key, [["a@example.org"]]) == [None]


async def test_contents_go_after_the_end_of_the_last_mail_and_messages_after_the_rows(office: Office) -> None:
    retention = MessageRetention(office.database, bodies=timedelta(0), rows=timedelta(0))
    async with office.database.begin_plain() as work:
        await office.store.put(work, hello(cc=[BOB]), key_id=None)
    await asyncio.sleep(0.01)
    await office.sql("update mails set ended_at = now() where recipient like 'alice%'")
    await retention.clean_up()
    assert await office.count("message_contents") == 1
    await office.sql("update mails set ended_at = now() - interval '1 s'")
    await retention.clean_up()
    assert await office.count("message_contents") == 0 and await office.count("messages") == 1
    await office.sql("delete from mails")
    await retention.clean_up()
    assert await office.count("messages") == 0
