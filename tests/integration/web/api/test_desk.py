"""The operators' desk over the API: each route with each kind of key, and each act in the audit log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from sqlalchemy import select, text

from mailroom.accounts.errors import LastOperator
from mailroom.accounts.models import SignUp
from mailroom.accounts.operators import LOCK
from mailroom.desk.audit_log import Actor
from mailroom.kit.ids import new_id
from mailroom.mail.rendering.previews import MASK
from mailroom.settings import Settings
from mailroom.statistics import names
from mailroom.tasks.models import Task
from tests.integration.web.api.conftest import Office, Program
from tests.sink import Sink

PUT_ACCOUNT = "insert into accounts (id, email, email_key, password_hash) values (:id, :email, :email, '')"
PUT_PROCESS = """
insert into processes (name, role, host, pid, version, started_at)
values ('host:7#a1', 'worker', 'host', 7, '1', now())
"""
PUT_SIGN_UP = """
insert into sign_ups (id, email, email_key, password_hash, session_id, mail_id, mailed_at)
values (:id, 'wanda@example.org', 'wanda@example.org', '', :session, :mail, now() - interval '1 hour')
"""
FAIL = """
update mails set state = 'failed', code = 550, reason = 'refused', ended_at = now(), nudge_at = null,
    answer = 'alice@example.org is nobody here' where id = :id
"""
BEGIN = "/api/v1"
NOBODY = str(UUID(int=1))


@pytest.fixture
def settings(settings: Settings, sink: Sink) -> Settings:
    return settings.model_copy(update={"smtp_alert_url": sink.url, "alert_to": "olga@example.org"})


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    with Sink() as sink:
        yield sink


async def operations(office: Office) -> dict[str, tuple[str, str]]:
    """Return method and path of every operation of the desk, by its id: as the document has them."""
    document = await (await office.app.test_client().get("/api/openapi.json")).get_json()
    return {
        operation["operationId"].partition("_")[2]: (method.upper(), path.removeprefix(BEGIN))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "desk" in operation["tags"]
    }


async def what_there_is(office: Office, shop: Program) -> dict[str, str]:
    """Have a mail that failed, an account, a sign-up, a worker and a task; return the ids by their names."""
    ids = {"account_id": new_id(), "sign_up_id": new_id()}
    message = await shop.send(to="alice@example.org", subject="Private")
    async with office.services.database.begin() as work:
        session = (await office.services.sessions.start("a browser")).session.id
        mail = await work.session.scalar(
            text("select id from mails where message_id = :id"), {"id": message["id"]}
        )
        await work.session.execute(text(FAIL), {"id": mail})
        await work.session.execute(text(PUT_ACCOUNT), {"id": ids["account_id"], "email": "alice@example.org"})
        await work.session.execute(text(PUT_PROCESS))
        old = await office.services.outbox.put(work, "confirm_sign_up", "wanda@example.org", {"sign_up": "x"})
        await work.session.execute(text(PUT_SIGN_UP), {"id": ids["sign_up_id"], "session": session, "mail": old})
        link = text("insert into sign_up_mails (mail_id, sign_up_id, email_key) values (:m, :s, :e)")
        await work.session.execute(link, {"m": old, "s": ids["sign_up_id"], "e": "wanda@example.org"})
        task = await office.services.task_service.start(work, "shop.import", ["alice@example.org"], title="Import")
        made = await office.services.invitations.create(work, "ivo@example.org")
    ids |= {"mail_id": mail, "task_id": task, "invitation_id": made.id}
    return {name: str(value) for name, value in ids.items()}


LISTS = {
    "deskOverview", "deskWorkers", "deskQueues", "deskAlerts", "deskFailures", "deskMail", "deskTasks",
    "deskTask", "deskAccounts", "deskAccount", "deskSignUps", "deskInvitations", "deskAudit",
}  # fmt: skip
CONTENTS = {"deskMailContent"}
"""Read like the lists, but by none but keys of scope `full`."""
ACTS: dict[str, tuple[Any, str, str]] = {
    "deskAskWorker": ({"name": "host:7#a1", "wish": "drain"}, "worker.drain", "host:7#a1"),
    "deskPause": ({"act": "pause", "what": "stream", "name": "bulk"}, "sending.paused", "bulk"),
    "deskSilenceAlert": ({"rule": "waiting", "hours": 2}, "alert.silenced", "waiting"),
    "deskTestAlert": (None, "alert.tested", ""),
    "deskRetryMail": (None, "mail.retried", "mail_id"),
    "deskCancelMail": (None, "mail.cancelled", "mail_id"),
    "deskSendMailAgain": (None, "mail.sent_again", "mail_id"),
    "deskCancelTask": (None, "task.cancelled", "task_id"),
    "deskRetryTask": (None, "task.retried", "task_id"),
    "deskLockAccount": (None, "account.locked", "account_id"),
    "deskUnlockAccount": (None, "account.unlocked", "account_id"),
    "deskGrantRole": ({"role": "viewer"}, "role.granted", "account_id"),
    "deskSendNewPassword": (None, "account.reset_sent", "account_id"),
    "deskDeleteAccount": ({"email": "alice@example.org"}, "account.deletion_asked", "account_id"),
    "deskKeepAccount": (None, "account.deletion_undone", "account_id"),
    "deskResendSignUp": (None, "sign_up.mailed", ""),
    "deskInvite": ({"email": "ina@example.org"}, "invitation.created", ""),
    "deskRevokeInvitation": (None, "invitation.revoked", "invitation_id"),
}
"""What is sent to each act, its code in the audit log, and what it is done to, by name in the path or as it is."""


async def test_the_desk_is_hidden_from_keys_that_see_only_their_own_and_masked_for_those_that_read(
    office: Office,
) -> None:
    full, read = await office.program(scope="full"), await office.program(scope="read", name="looker")
    ids = await what_there_is(office, full)
    known = await operations(office)
    assert known.keys() == LISTS | CONTENTS | ACTS.keys(), "each operation of the document is walked here"
    for program in (
        await office.program(scope="sending"),
        await office.program(scope="full", domains=["shop.example"]),
        await office.program(scope="read", domains=["shop.example"]),
        await office.program(scope="full", test=True),
    ):
        for name, (method, rule) in known.items():
            told = await program.call(method, rule.format(**ids), {} if method == "POST" else None, 401)
            assert told["name"] == "restricted_api_key", name
    seen = ""
    for name in LISTS:
        shown = str(await read.call("GET", known[name][1].format(**ids)))
        seen += str(await full.call("GET", known[name][1].format(**ids)))
        for private in ("alice@", "wanda@", "ivo@", "olga@"):
            assert private not in shown, (name, shown)
    for private in ("alice@", "wanda@", "ivo@", "olga@", "is nobody here", "shop.import"):
        assert private in seen, private
    for name in CONTENTS:
        path = known[name][1].format(**ids)
        assert (await read.call("GET", path, status=401))["name"] == "restricted_api_key", name
        assert "Private" in str(await full.call("GET", path))
    for name, (body, *_) in ACTS.items():
        told = await read.call("POST", known[name][1].format(**ids), body, 401)
        assert told["name"] == "restricted_api_key", name
    assert "alice@example.org" in str(await full.call("GET", "/desk/accounts?search=alice"))
    for path in ("/desk/accounts?search=alice", "/desk/sign-ups?search=wanda", "/desk/tasks?words=alice"):
        await read.call("GET", path, status=422)
    [group] = (await full.call("GET", "/desk/failures"))["mails"]
    found = await full.call("GET", f"/mails?{urlencode({'search': group['search']})}")
    assert [one["id"] for one in found["data"]] == [ids["mail_id"]], "a group is named by its search"


async def test_every_act_is_done_and_stands_in_the_audit_log(office: Office) -> None:
    full = await office.program(scope="full")
    ids, known = await what_there_is(office, full), await operations(office)
    for name, (body, action, target) in ACTS.items():
        if name == "deskSendMailAgain":
            async with office.services.database.begin() as work:
                sent = text("update mails set state = 'sent' where id = :id")
                await work.session.execute(sent, {"id": ids["mail_id"]})
        await full.call("POST", known[name][1].format(**ids), body, 201 if name == "deskInvite" else 200)
        [entry] = (await full.call("GET", "/desk/audit?limit=1"))["data"]
        assert (entry["actor"], entry["actor_name"], entry["action"]) == ("key", "shop", action)
        assert entry["client"] and (not target or entry["target_id"] == ids.get(target, target)), entry
    entries = len((await full.call("GET", "/desk/audit"))["data"])
    for _, rule in [known[name] for name in ACTS if "{" in known[name][1]]:
        body = {"role": None, "email": "x@example.org"}
        told = await full.call("POST", rule.format(**dict.fromkeys(ids, NOBODY)), body, 404)
        assert told["name"] == "not_found", rule
    assert len((await full.call("GET", "/desk/audit"))["data"]) == entries, "nothing done, nothing noted"


async def test_what_a_mail_looks_like_lets_nobody_in_and_may_be_dropped(office: Office) -> None:
    full = await office.program(scope="full")
    async with office.services.database.begin() as work:
        own = await office.services.outbox.put(work, "confirm_sign_up", "wanda@example.org", {"sign_up": "x"})
    shown = await full.call("GET", f"/desk/mails/{own}/content")
    assert shown["id"] == str(own) and shown["subject"] and "http://localhost/confirm/" in shown["text"]
    assert MASK in shown["text"] and MASK in shown["html"], "its link and code are masked"
    async with office.services.database.begin() as work:
        await work.session.execute(text("update mails set params = null where id = :id"), {"id": own})
    for mail, words in ((str(own), "no longer kept"), (NOBODY, "no such mail"), ("x", "no such mail")):
        told = await full.call("GET", f"/desk/mails/{mail}/content", status=404)
        assert words in told["message"], told
    async with office.services.database.begin() as work:
        change = text("update mails set params = '{}', kind = 'letters.unknown' where id = :id")
        await work.session.execute(change, {"id": own})
    told = await full.call("GET", f"/desk/mails/{own}/content", status=422)
    assert told["message"].startswith("This mail cannot be rendered: ")


async def test_what_acts_do_and_what_is_wrong_with_them(office: Office, sink: Sink) -> None:
    full = await office.program(scope="full")
    ids = await what_there_is(office, full)
    for path, body, field in (
        ("/desk/pauses", {"act": "pause", "what": "kind", "name": "letters"}, "name"),
        ("/desk/pauses", {"act": "stop", "what": "all"}, "act"),
        ("/desk/alerts/silence", {"rule": "rain", "hours": 1}, "rule"),
        ("/desk/alerts/silence", {"rule": "*", "hours": 10_000}, "hours"),
        (f"/desk/accounts/{ids['account_id']}/delete", {"email": "bob@example.org"}, "email"),
        ("/desk/invitations", {"email": "nobody"}, "email"),
        ("/desk/invitations", {"email": "alice@example.org"}, "email"),
    ):
        assert (await full.call("POST", path, body, 422))["message"].startswith(f"`{field}`"), path
    for path, field in (
        ("/desk/audit?before=x", "before"),
        ("/desk/accounts?before=x", "before"),
        ("/desk/tasks?limit=0", "limit"),
        ("/desk/failures?since=5y", "since"),
    ):
        assert (await full.call("GET", path, status=422))["message"].startswith(f"`{field}`"), path
    await full.call("POST", "/desk/workers", {"name": "nobody", "wish": "stop"}, 404)

    for changed in (True, False):
        told = await full.call("POST", "/desk/pauses", {"act": "pause", "what": "tasks"})
        assert (told["paused"], told["changed"]) == (True, changed)
    assert [one["what"] for one in (await full.call("GET", "/desk/queues"))["pauses"]] == ["tasks"]
    await full.call("POST", "/desk/alerts/silence", {"rule": "*", "hours": 3})
    [silence] = (await full.call("GET", "/desk/alerts"))["silences"]
    assert (silence["rule"], silence["by"]) == ("*", "shop")
    await full.call("POST", "/desk/alerts/silence", {"rule": "*", "hours": 0})
    assert (await full.call("GET", "/desk/alerts"))["silences"] == []
    assert (await full.call("POST", "/desk/alerts/test"))["problem"] is None
    assert sink.accepted[-1].message["To"] == "olga@example.org"
    assert "A test of the alerts" in sink.accepted[-1].message["Subject"]

    resend = f"/desk/sign-ups/{ids['sign_up_id']}/resend"
    sent = await full.call("POST", resend)
    async with office.services.database.begin() as work:
        row = await work.session.get(SignUp, UUID(ids["sign_up_id"]))
        assert row and str(row.mail_id) == sent["id"]
    assert (await full.call("POST", resend, status=429))["name"] == "rate_limit_exceeded", "one mail a minute"
    locked = await full.call("POST", f"/desk/accounts/{ids['account_id']}/lock")
    assert locked["locked_at"] and (await full.call("GET", "/desk/accounts"))["data"][0]["locked_at"]
    await full.call("POST", f"/desk/tasks/{ids['task_id']}/retry", status=422)
    await full.call("POST", f"/desk/tasks/{ids['mail_id']}/cancel", status=404)
    assert (await full.call("POST", f"/desk/tasks/{ids['task_id']}/cancel"))["state"] == "cancelled"

    numbers, before = [], ""
    for _ in range(20):
        page = await full.call("GET", f"/desk/audit?limit=2{before}")
        numbers += [entry["number"] for entry in page["data"]]
        if not page["has_more"]:
            break
        before = f"&before={page['next']}"
    assert numbers == sorted(set(numbers), reverse=True) and len(numbers) == 7


async def test_a_keys_owner_is_left_to_other_operators(office: Office) -> None:
    async with office.services.database.begin() as work:
        olga = new_id()
        await work.session.execute(text(PUT_ACCOUNT), {"id": olga, "email": "olga@example.org"})
    full = await office.program(scope="full")
    async with office.services.database.begin() as work:
        await work.session.execute(text("update api_keys set owner_id = :id"), {"id": olga})
    for path, body in ((f"/desk/accounts/{olga}/lock", None), (f"/desk/accounts/{olga}/role", {"role": None})):
        assert "owner" in (await full.call("POST", path, body, 422))["message"]


async def test_the_last_operator_stays_one_also_where_two_are_taken_away_at_once(office: Office) -> None:
    olga, oscar = new_id(), new_id()
    async with office.services.database.begin() as work:
        for account_id, email in ((olga, "olga@example.org"), (oscar, "oscar@example.org")):
            await work.session.execute(text(PUT_ACCOUNT), {"id": account_id, "email": email})
        await work.session.execute(text("update accounts set is_operator = true, role = 'operator'"))
    full = await office.program(scope="full")
    place, headers = "/api/v1/desk/accounts", {"Authorization": f"Bearer {full.secret}"}
    lock = office.app.test_client().post(f"{place}/{olga}/lock", headers=headers)
    demote = office.app.test_client().post(f"{place}/{oscar}/role", headers=headers, json={"role": "viewer"})
    async with office.services.database.session() as other:  # until it ends, both wait, and so meet
        await other.execute(f"select pg_advisory_lock({LOCK})")
        both = asyncio.gather(lock, demote)
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while (await (await other.execute(waiting)).fetchone()) != (2,):
            assert not both.done()
            await asyncio.sleep(0.02)
        await other.execute(f"select pg_advisory_unlock({LOCK})")
    answers = await both
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    [refused] = [answer for answer in answers if answer.status_code == 422]
    assert "only operator" in (await refused.get_json())["message"]
    async with office.services.database.begin() as work:
        query = text("select count(*) from accounts where is_operator and locked_at is null")
        assert await work.session.scalar(query) == 1
        left = await work.session.scalar(text("select id from accounts where is_operator and locked_at is null"))
    with pytest.raises(LastOperator):
        await office.services.people.lock(left, Actor("key", "shop"))
    assert await office.services.people.lock(left, Actor("shell", "root")), "whoever has the shell decides"


async def test_what_is_cancelled_over_the_api_is_counted(office: Office) -> None:
    shop, counters = await office.program(), office.services.counters
    sent = await shop.send(to=["a@example.org", "b@example.org"])
    await shop.call("POST", f"/emails/{sent['id']}/cancel")
    await counters.write(office.services.database, "test")
    counted = text("select count from statistics where name = :name and label = 'cancelled'")
    async with office.services.database.begin() as work:
        assert list(await work.session.scalars(counted, {"name": names.ENDED})) == [2]
        parts = [("shop.one", []), ("shop.two", []), ("shop.three", [])]
        chain = await office.services.task_service.start_chain(work, parts, title="Chain")
    async with office.services.database.begin() as work:
        first = await work.session.scalar(select(Task.id).where(Task.part_of == chain, Task.place == 0))
        assert first
        await office.services.task_service.cancel(work, first)
    await counters.write(office.services.database, "test")
    async with office.services.database.begin() as work:
        assert list(await work.session.scalars(counted, {"name": names.TASKS})) == [3]
