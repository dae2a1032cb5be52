"""Leaving: asked for, undone, and carried out; afterwards no table names the person who left."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from mailroom.accounts.changes.deletion import DELETION, Deletion
from mailroom.accounts.changes.erasure import Erasure
from mailroom.accounts.errors import (
    LastOperator,
    OldDeletionLink,
    UnknownAccount,
    UsedDeletionLink,
    WrongCredentials,
    WrongDeletionLink,
)
from mailroom.accounts.tokens import KEEP_ACCOUNT, NOT_ME
from mailroom.accounts.views import NewSession, Origin
from mailroom.kit.database import UnitOfWork
from mailroom.settings import Settings
from mailroom.webhooks.retention import forget_deliveries
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception

BOB, OLGA = "bob@example.org", "olga@example.org"
HOME = Origin(FIREFOX, "192.0.2.7")


class Desk:
    """Deletion and erasure wired as in production; the audit log is a list."""

    def __init__(self, reception: Reception, settings: Settings) -> None:
        self.entries: list[tuple[Any, str]] = []
        self.deletion = Deletion(
            reception.database,
            reception.outbox,
            tokens=reception.tokens,
            sessions=reception.sessions,
            log=reception.log,
            audit=self._audit,
        )
        self.erasure = Erasure(
            reception.database, reception.sessions, secret_keys=settings.secret_keys, also=[forget_deliveries]
        )

    async def _audit(self, _work: UnitOfWork, actor: Any, action: str, *, target: str, target_id: UUID) -> None:
        assert (target, target_id.version) == ("account", 7)
        self.entries.append((actor, action))


@pytest.fixture
async def desk(reception: Reception, settings: Settings) -> Desk:
    return Desk(reception, settings)


def id_of(started: NewSession) -> UUID:
    assert started.session.account
    return started.session.account.id


async def deletion_mails(reception: Reception) -> list[UUID]:
    found = await reception.rows("select id from mails where kind = :kind order by id", kind=DELETION)
    return [mail_id for (mail_id,) in found]


async def token_of(reception: Reception, mail_id: UUID, purpose: str = KEEP_ACCOUNT) -> str:
    mail = await reception.mail(mail_id)
    assert mail.nonce
    return reception.tokens.token(mail.id, mail.nonce, purpose)


async def a_week_later(reception: Reception) -> None:
    await reception.run("update accounts set deletes_at = deletes_at - interval '7 days'")
    await reception.run("update mails set state = 'sent', ended_at = now() where state = 'queued'")


async def names(reception: Reception, *texts: str) -> set[str]:
    """Return the tables in which one of these texts stands, in any column of any row."""
    tables = await reception.rows("select tablename from pg_tables where schemaname = 'public'")
    assert len(tables) > 20
    each = [f"select '{name}', string_agg(t::text, ' ') from {name} t" for (name,) in tables]
    wanted = [form for text in texts for form in (text, text.encode().hex())]  # bytes are shown in hexadecimals
    rows = await reception.rows(" union all ".join(each).replace(":", r"\:"))
    return {table for table, content in rows if any(text in (content or "") for text in wanted)}


async def test_a_deletion_ends_other_sessions_cancels_what_waits_and_tells_the_owner(
    reception: Reception, desk: Desk
) -> None:
    laptop, other = await reception.member(), await reception.sign_in(ALICE, ALICES)
    async with reception.database.begin() as work:
        waiting = await reception.outbox.put(work, "confirm_sign_up", ALICE, owner_id=id_of(laptop))
        claimed = await reception.outbox.put(work, "confirm_sign_up", ALICE, owner_id=id_of(laptop))
        notice = await reception.outbox.put(work, "security_notice", ALICE, owner_id=id_of(laptop))
    await reception.run("update mails set state = 'sending' where id = :id", id=claimed)
    due = await desk.deletion.ask(laptop.session, origin=HOME)
    found = await reception.sessions.find(laptop.secret)
    assert found and found.account and found.account.deletes_at == due
    assert await reception.sessions.find(other.secret) is None
    states = [(await reception.mail(mail_id)).state for mail_id in (waiting, claimed, notice)]
    assert states == ["cancelled", "sending", "queued"], "a thief cannot hold back what tells of the theft"
    [mail_id] = await deletion_mails(reception)
    assert (await reception.mail(mail_id)).recipient == ALICE
    assert await desk.deletion.ask(laptop.session, origin=HOME) == due
    assert await deletion_mails(reception) == [mail_id], "asking twice is asking once"


async def test_until_then_the_address_stays_taken_and_the_link_keeps_the_account(
    reception: Reception, desk: Desk
) -> None:
    laptop = await reception.member()
    await desk.deletion.ask(laptop.session, origin=HOME)
    await desk.erasure.clean_up()
    stranger = await reception.sign_up(await reception.browser(), ALICE, MALLORYS)
    assert (await reception.mail(stranger)).kind == "already_have_account"
    back = await reception.sign_in(ALICE, ALICES)
    assert back.session.account and back.session.account.deletes_at, "it may come in, to undo it"

    [mail_id] = await deletion_mails(reception)
    token = await token_of(reception, mail_id)
    assert (await desk.deletion.preview(token)).email == ALICE
    for purpose in (NOT_ME, "confirmation link", "new password link", "new address link", "invitation link"):
        with pytest.raises(WrongDeletionLink):
            await desk.deletion.preview(await token_of(reception, mail_id, purpose))
    for wrong in ("", "A" * 48, token[:-1] + ("A" if token[-1] != "A" else "B")):
        with pytest.raises(WrongDeletionLink):
            await desk.deletion.undo_by_link(wrong, origin=HOME)
    await desk.deletion.undo_by_link(token, origin=HOME)
    kept = await reception.sign_in(ALICE, ALICES)
    assert kept.session.account and kept.session.account.deletes_at is None
    with pytest.raises(UsedDeletionLink):
        await desk.deletion.undo_by_link(token, origin=HOME)
    await desk.deletion.ask(kept.session, origin=HOME)
    with pytest.raises(UsedDeletionLink):
        await desk.deletion.undo_by_link(token, origin=HOME)  # an old link undoes no new deletion
    await desk.deletion.undo_own(kept.session, origin=HOME)
    kinds = [event.kind for event in await reception.log.of_account(id_of(kept))]
    assert kinds.count("deletion_asked") == kinds.count("deletion_undone") == 2


async def test_this_was_not_me_keeps_the_account_too(reception: Reception, desk: Desk) -> None:
    thief = await reception.member()
    await desk.deletion.ask(thief.session, origin=HOME)
    [mail_id] = await deletion_mails(reception)
    await reception.takeover.disown(
        await token_of(reception, mail_id, NOT_ME), session=await reception.browser(), origin=HOME
    )
    assert await reception.rows("select id from accounts where deletes_at is null")
    assert await reception.sessions.find(thief.secret) is None


async def test_after_a_week_no_table_names_who_left(reception: Reception, desk: Desk, settings: Settings) -> None:
    strangers = await reception.browser()
    for _ in range(2):
        await reception.sign_up(strangers, ALICE, MALLORYS)
    laptop = await reception.member()
    await reception.member(BOB, MALLORYS)
    alice = id_of(laptop)
    await reception.sign_up(await reception.browser(), ALICE, MALLORYS)
    await reception.forget()
    await reception.address_changes.ask(
        laptop.session, email="alice@elsewhere.example", password=ALICES, origin=HOME
    )
    bounced = "550 5.1.1 <alice@example.org>: no such user"
    await reception.run("update mails set answer = :words where recipient = :to", words=bounced, to=ALICE)
    await reception.run(
        "insert into attempts (mail_id, attempt, worker, answer) select id, 9, 'w', :words from mails"
        " where recipient = :to",
        words=bounced,
        to=ALICE,
    )
    await reception.run(
        "insert into mail_events (mail_id, type, diagnostic) select id, 'failed', :words from mails"
        " where recipient = :to",
        words=bounced,
        to=ALICE,
    )
    await reception.run(
        "insert into tasks (id, title, name, owner_id, state, ended_at) values"
        " (:id, 'x', 'mailroom.export_account', :owner, 'done', now())",
        id=uuid4(),
        owner=alice,
    )
    await reception.run(
        "insert into exports (id, account_id, content, expires_at) select id, owner_id, 'alice', now() from tasks"
        " where name is not null"
    )
    endpoint = uuid4()
    await reception.run(
        "insert into webhook_endpoints (id, url, events, secret) values (:id, 'https://x.example', '{}', '')",
        id=endpoint,
    )
    await reception.run(
        "insert into webhook_deliveries (id, endpoint_id, subject_id, type, payload)"
        " select :id, :endpoint, id, 'account.confirmed', jsonb_build_object('address', email) from accounts"
        " where email = :to",
        id=uuid4(),
        endpoint=endpoint,
        to=ALICE,
    )
    await desk.deletion.ask(laptop.session, origin=HOME)
    everywhere = await names(reception, "alice@", str(alice))
    assert everywhere >= {
        "accounts",
        "mails",
        "attempts",
        "mail_events",
        "events",
        "webhook_deliveries",
        "sign_ups",
    }

    await a_week_later(reception)
    [mail_id] = await deletion_mails(reception)
    token = await token_of(reception, mail_id)
    await desk.erasure.clean_up()
    assert await names(reception, "alice") == set()
    assert await names(reception, str(alice)) == {"events"}, "webhooks tell that it is deleted, by its id"
    assert await names(reception, BOB) >= {"accounts", "mails"}, "nobody else's are touched"
    for gone in ("exports", "webhook_deliveries"):
        assert await reception.rows(f"select * from {gone}") == []
    assert await reception.rows("select id from mails where params is not null and recipient is null") == []
    assert len(await reception.rows("select id from attempts where attempt = 9")) > 3, "how it went stays"

    async with reception.database.begin() as work:
        assert await desk.erasure.deleted_at(work, ALICE)
        assert await desk.erasure.deleted_at(work, BOB) is None
    with pytest.raises(OldDeletionLink):
        await desk.deletion.undo_by_link(token, origin=HOME)
    with pytest.raises(WrongCredentials):
        await reception.sign_in(ALICE, ALICES)
    assert id_of(await reception.member()) != alice, "the address is free again"


async def test_an_account_with_a_mail_under_way_waits_for_its_end(reception: Reception, desk: Desk) -> None:
    laptop = await reception.member()
    await desk.deletion.ask(laptop.session, origin=HOME)
    await a_week_later(reception)
    [mail_id] = await deletion_mails(reception)
    await reception.run("update mails set state = 'sending' where id = :id", id=mail_id)
    await desk.erasure.clean_up()
    assert await reception.rows("select id from accounts")
    await reception.run("update mails set state = 'sent' where id = :id", id=mail_id)
    await desk.erasure.clean_up()
    assert await reception.rows("select id from accounts") == []


async def test_an_operator_deletes_and_keeps_accounts_and_both_are_in_the_audit_log(
    reception: Reception, desk: Desk
) -> None:
    alice = await reception.member()
    found = await desk.deletion.find(ALICE)
    await desk.deletion.delete(found, "Olga")
    assert await reception.sessions.find(alice.secret) is None
    await desk.deletion.undo(found, "Olga")
    await desk.deletion.undo(found, "Olga")
    assert desk.entries == [("Olga", "account.deletion_asked"), ("Olga", "account.deletion_undone")]
    with pytest.raises(UnknownAccount):
        await desk.deletion.find("nobody@example.org")
    with pytest.raises(UnknownAccount):
        await desk.deletion.delete(uuid4(), "Olga")


async def test_the_only_operator_stays(reception: Reception, desk: Desk) -> None:
    olga = await reception.member(OLGA)
    async with reception.database.begin() as work:
        await reception.operators.grant(work, OLGA)
    with pytest.raises(LastOperator):
        await desk.deletion.ask(olga.session, origin=HOME)
    await reception.member()
    async with reception.database.begin() as work:
        await reception.operators.grant(work, ALICE)
    await desk.deletion.ask(olga.session, origin=HOME)
    with pytest.raises(LastOperator):
        await desk.deletion.delete(await desk.deletion.find(ALICE), "shell")
