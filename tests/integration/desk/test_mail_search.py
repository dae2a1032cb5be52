"""Searches and acts on many mails over a real PostgreSQL."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from mailroom.api_keys.keys import KeyRequest
from mailroom.bootstrap.services import create_services
from mailroom.desk.audit_log import Actor
from mailroom.desk.bulk_actions import Action, Counts
from mailroom.desk.key_traffic import KeyTraffic, key_traffic
from mailroom.desk.mail_search import MailSearches, conditions, window_of
from mailroom.desk.search import MailSearch
from mailroom.desk.slices import FIRST_SLICE
from mailroom.desk.time_limit import in_time
from mailroom.kit import clock
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.mail.messages.addresses import Mailbox
from mailroom.mail.messages.draft import Draft
from mailroom.mail.models import Mail
from mailroom.progress.reports import Cancelled
from mailroom.services import Services
from mailroom.settings import Settings

OLGA = Actor("account", "olga@example.org", new_id(), "192.0.2.7")
PUT = """
insert into mails (id, kind, recipient, params, nonce, on_uncertain, state, code, enhanced, answer, reason,
    nudge_at, ended_at, created_at, expires_at)
select uuidv7(- age), 'note', lower(name) || number || '@' || domain, '{}', '\\x00', 'resend', state,
    code, enhanced, answer, reason, case when state in ('queued', 'retrying') then now() end,
    case when state not in ('queued', 'retrying') then now() end, now() - age, now()
from jsonb_to_recordset(cast(:rows as jsonb)) as wish (
    name text, domain text, state text, code int, enhanced text, answer text, reason text, count int,
    age interval),
    generate_series(1, count) as number
"""


@pytest.fixture
def published() -> list[UUID]:
    """The ids that workers were told of."""
    return []


@pytest.fixture
async def have(settings: Settings, published: list[UUID]) -> AsyncIterator[Services]:
    services = create_services(settings, published.extend, lambda *_: None, name="tests")
    yield services
    await services.database.close()


async def put(have: Services, *rows: dict[str, Any]) -> None:
    usual = {"name": "a", "domain": "example.org", "state": "sent", "count": 1, "age": "1 minute"}
    async with have.database.begin() as work:
        await work.session.execute(text(PUT), {"rows": json.dumps([{**usual, **row} for row in rows])})


def patient(have: Services) -> MailSearches:
    """Searches with time enough, however busy the machine is."""
    return MailSearches(have.database, budget=30)


async def found(have: Services, query: str, **options: Any) -> Sequence[Mail]:
    now = clock.now()
    return (await patient(have).page(MailSearch.parse(query, now), now, **options)).rows


async def names(have: Services, query: str) -> list[str]:
    return sorted(mail.recipient for mail in await found(have, query))


async def test_each_fact_finds_its_mails(have: Services) -> None:
    await put(
        have,
        {"name": "full", "state": "failed", "code": 552, "enhanced": "5.2.2", "answer": "Mailbox full, sorry"},
        {"name": "spam", "domain": "other.example", "state": "failed", "code": 550, "reason": "policy refused"},
        {"name": "wait", "state": "retrying", "code": 451, "answer": "greylisted"},
        {"name": "Old", "age": "8 days"},
        {"name": "fine", "code": 250, "answer": "ok full"},
    )
    for query, wanted in {
        "": ["fine", "full", "spam", "wait"],
        "since:all": ["fine", "full", "old", "spam", "wait"],
        "since:9d before:" + f"{clock.now() - timedelta(days=1):%Y-%m-%d}": ["old"],
        "state:failed": ["full", "spam"],
        "state:failed,retrying code:451": ["wait"],
        "code:250": ["fine"],
        "to:@example.org": ["fine", "full", "wait"],
        "to:@xample.org": [],
        "to:FULL1@example.ORG": ["full"],
        "to:wait1@example.org": ["wait"],
        "enhanced:5.2.2": ["full"],
        "reason:policy-refused": ["spam"],
        "full mailbox": ["full"],
        "greylisted state:retrying": ["wait"],
        "kind:other": [],
    }.items():
        assert [name.partition("1")[0] for name in await names(have, query)] == wanted, query
    [one] = await found(have, "to:full1@example.org")
    assert [mail.id for mail in await found(have, f"id:{str(one.id)[:30]}")] == [one.id]


async def test_messages_are_found_by_key_tag_stream_and_subject(have: Services) -> None:
    async with have.database.begin() as work:
        key, _ = await have.api_keys.create(work, KeyRequest("Shop"))
        await have.acceptance.accept(
            work,
            key,
            [
                Draft(
                    sender=Mailbox("", "shop@mailroom.example"), to=[Mailbox("", f"{name}@example.net")],
                    subject=subject, text="Hi", tags=tags, stream=stream,
                )
                for name, subject, tags, stream in (
                    ("a", "Your invoice is ready", {"kind": "invoice"}, "transactional"),
                    ("b", "News", {"campaign": "spring"}, "bulk"),
                )
            ],
        )  # fmt: skip
    await put(have, {"name": "c"})
    for query, wanted in {
        "key:Shop": ["a@example.net", "b@example.net"],
        f"key:{key.start}": ["a@example.net", "b@example.net"],
        "key:Other": [],
        "tag:kind": ["a@example.net"],
        "tag:kind=invoice": ["a@example.net"],
        "tag:kind=receipt": [],
        "stream:bulk": ["b@example.net"],
        "invoice ready": ["a@example.net"],
        "invoices": [],
    }.items():
        assert await names(have, query) == wanted, query
    [mail] = await found(have, "invoice")
    assert [one.id for one in await found(have, f"id:{mail.message_id}")] == [mail.id]


async def test_a_busy_key_is_shown_by_its_newest_messages(have: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts = [
        Draft(
            sender=Mailbox("", "shop@mailroom.example"),
            to=[Mailbox("", f"n{n}@example.net")],
            subject="A",
            text="Hi",
        )
        for n in range(3)
    ]
    async with have.database.begin() as work:
        key, _ = await have.api_keys.create(work, KeyRequest("Shop"))
        idle, _ = await have.api_keys.create(work, KeyRequest("Idle"))
        await have.acceptance.accept(work, key, drafts)
        await work.session.execute(text("update mails set state = 'failed' where recipient = 'n0@example.net'"))
    async with have.database.begin_plain() as plain:
        assert await key_traffic(plain, [key.id, idle.id]) == {
            key.id: KeyTraffic(Counter({"queued": 2, "failed": 1}))
        }
        monkeypatch.setattr("mailroom.desk.key_traffic.MOST", 8)
        assert await key_traffic(plain, [key.id]) == {key.id: KeyTraffic(Counter({"queued": 2}), newest=2)}


async def test_pages_follow_by_key_and_counts_stop(have: Services) -> None:
    await put(have, *({"name": f"n{days}-", "count": 7, "age": f"{days} days 1 hour"} for days in range(6)))
    now, seen, before = clock.now(), [], None
    while True:
        page = await patient(have).page(MailSearch.parse("", now), now, before=before, limit=10)
        seen += [mail.id for mail in page.rows]
        before = page.next
        if before is None:
            break
        assert len(page.rows) == 10
    assert seen == sorted(set(seen), reverse=True) and len(seen) == 42
    assert await patient(have).count(MailSearch.parse("since:2d", now), now) == 14
    first, number = await patient(have).first_page(MailSearch.parse("since:2d", now), now, limit=10)
    assert (len(first.rows), number) == (10, 14)
    first, number = await patient(have).first_page(MailSearch.parse("since:2d", now), now, limit=20)
    assert (len(first.rows), number, first.next) == (14, 14, None)
    assert await patient(have).count(MailSearch.parse("", now), now, most=30) == 31


async def test_a_search_without_time_left_says_how_far_it_looked_and_the_next_page_goes_on(have: Services) -> None:
    await put(have, {"name": "new"}, {"name": "old", "age": "3 days"})
    now, search = clock.now(), MailSearch.parse("state:sent", clock.now())
    page = await MailSearches(have.database, budget=0).page(search, now)
    assert [mail.recipient for mail in page.rows] == ["new1@example.org"], "the newest minutes always count"
    assert page.looked_to == now - FIRST_SLICE
    rest = await patient(have).page(search, now, before=page.next)
    assert [mail.recipient for mail in rest.rows] == ["old1@example.org"]
    assert rest.next is None and rest.looked_to is None


async def test_a_question_that_takes_too_long_has_no_answer_and_leaves_the_connection_well(have: Services) -> None:
    async def slow(work: UnitOfWork) -> str:
        await work.session.execute(text("select pg_sleep(60)"))
        return "never"

    async def quick(work: UnitOfWork) -> Any:
        return await work.session.scalar(text("select 1"))

    async def slow_and_plain(work: UnitOfWork) -> Any:
        return await work.fetch("select pg_sleep(60)", {})

    assert await in_time(have.database, 0.2, slow) is None
    assert await in_time(have.database, 0.2, slow_and_plain) is None, "which is no outage"
    assert await in_time(have.database, 30, quick) == 1


async def test_the_recipients_of_ended_and_waiting_mails_are_found_by_indexes(have: Services) -> None:
    await put(have, {"count": 20_000}, {"name": "b", "state": "queued", "count": 10})
    async with have.database.begin() as work:
        await work.session.execute(text("analyze mails"))
        search = MailSearch.parse("to:a77@example.org", clock.now())
        from sqlalchemy import select

        query = select(Mail.id).where(*conditions(search, window_of(search, clock.now())))
        raw = str(query.compile(dialect=work.session.bind.dialect, compile_kwargs={"literal_binds": True}))  # type: ignore[union-attr]
        plan = "\n".join(row[0] for row in await work.session.execute(text(f"explain {raw}")))
    assert "ix_mails_recipient" in plan and "Seq Scan" not in plan, plan


async def start(have: Services, action: Action, query: str) -> UUID:
    now = clock.now()
    async with have.database.begin() as work:
        return await have.bulk_actions.start(work, action, MailSearch.parse(query, now), until=now, actor=OLGA)


async def states(have: Services) -> dict[str, int]:
    async with have.database.begin() as work:
        return await have.mail_administration.counts(work)


async def test_all_mails_of_a_search_are_retried_once_stopped_half_way_and_taken_up_again(
    have: Services, published: list[UUID]
) -> None:
    await put(have, {"state": "failed", "count": 2_300}, {"name": "sent", "count": 50})
    async with have.database.begin() as work:
        await work.session.execute(text("update mails set nonce = null where recipient in ('a7@example.org')"))
    ticket = await start(have, "retry", "state:failed")
    await put(have, {"name": "later", "state": "failed", "age": "-1 minute"})

    def stop(done: int, total: int | None) -> None:
        assert total == 2_300
        if done >= 1_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        await have.bulk_actions.run(ticket, stop)
    assert await states(have) == {"queued": 999, "failed": 1_302, "sent": 50}
    async with have.database.begin() as work:
        row = await have.bulk_actions.find(work, ticket)
        assert row
        assert (row.total, row.changed, row.left_alone) == (2_300, 999, 1)
        # One of those retried fails again meanwhile: it is not taken a second time.
        await work.session.execute(text("update mails set state = 'failed' where recipient = 'a1@example.org'"))
        again = await work.session.scalar(text("select step from mails where recipient = 'a1@example.org'"))
    counts = await have.bulk_actions.run(ticket, lambda _done, _total: None)
    assert counts == Counts(2_299, 1)
    assert await states(have) == {"queued": 2_298, "failed": 3, "sent": 50}
    assert len(published) == len(set(published)) == 2_299
    async with have.database.begin() as work:
        assert (
            await work.session.scalar(text("select step from mails where recipient = 'a1@example.org'")) == again
        )
        log = [(entry.action, entry.details) for entry in await have.audit_log.entries(work)]
    assert log == [
        ("mails.retry_ended", {"ended": "done", "changed": 2_299, "left_alone": 1}),
        ("mails.retry_ended", {"ended": "cancelled", "changed": 999, "left_alone": 1}),
        ("mails.retry", {"query": "state:failed"}),
    ]


async def test_all_waiting_mails_of_a_search_are_cancelled_and_a_count_is_exact(have: Services) -> None:
    await put(
        have, {"state": "queued", "count": 700}, {"domain": "other.example", "state": "retrying", "count": 3}
    )
    now = clock.now()
    assert await have.bulk_actions.count(MailSearch.parse("to:@example.org", now), now) == 700
    ticket = await start(have, "cancel", "to:@example.org")
    assert await have.bulk_actions.run(ticket, lambda _done, _total: None) == Counts(700, 0)
    assert await states(have) == {"cancelled": 700, "retrying": 3}


async def test_a_saved_search_belongs_to_one_operator(have: Services) -> None:
    async with have.database.begin() as work:
        ids = [new_id(), new_id()]
        for number, account in enumerate(ids):
            await work.session.execute(
                text("insert into accounts (id, email, email_key, password_hash) values (:i, :e, :e, '')"),
                {"i": account, "e": f"o{number}@example.org"},
            )
        await have.saved_searches.save(work, ids[0], "Bounces", "state:failed")
        await have.saved_searches.save(work, ids[0], "Bounces", "state:expired")
        [saved] = await have.saved_searches.list(work, ids[0])
        assert (saved.name, saved.query) == ("Bounces", "state:expired")
        assert not await have.saved_searches.list(work, ids[1])
        await have.saved_searches.delete(work, ids[1], saved.id)
        assert await have.saved_searches.list(work, ids[0])
        await have.saved_searches.delete(work, ids[0], saved.id)
        assert not await have.saved_searches.list(work, ids[0])
