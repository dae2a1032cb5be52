"""The desk's overview, workers and alerts over real services: what they say, and what operators do there."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from mailroom.bootstrap.alerts import create_watch
from mailroom.bootstrap.web import create_web
from mailroom.desk.alerts.watch import AlertWatch
from mailroom.ops.doctor import alerts as doctor_alerts
from mailroom.ops.terminal import Mark
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.statistics.counters import Counters
from mailroom.web.desk import overview
from mailroom.web.parts import part_of
from tests.integration.web.test_desk import audit, with_role
from tests.integration.web.test_task_pages import House
from tests.sink import Sink


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
async def house(settings: Settings, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    sink.accepted.clear()
    monkeypatch.setattr(overview, "FRESH", 0.0)
    monkeypatch.setattr(AlertWatch, "start", lambda _self: None)  # the tests evaluate by themselves
    changes = {"public_url": "http://localhost", "smtp_alert_url": sink.url}
    async with create_web(settings.model_copy(update=changes)).test_app() as app:
        yield House(app, part_of(app.app, Services))


async def sql(house: House, statement: str) -> list[Any]:
    return await house.services.database.fetch(statement, {})


async def look(house: House) -> None:
    services = house.services
    await create_watch(services.settings, services.database, services.counters).evaluate()


async def minutes_ago(house: House, minutes: int, *, sent: int, failed: int) -> None:
    rows = await sql(house, "select now()")
    at: datetime = rows[0][0] - timedelta(minutes=minutes)
    counters = Counters(lambda: at)
    counters.add("created", "transactional", sent + failed)
    counters.add("ended", "sent", sent)
    counters.add("ended", "failed", failed)
    for _ in range(sent):
        counters.observe("to_250", 0.2, "transactional")
    counters.look("waiting", 7)
    await counters.write(house.services.database, f"test-{minutes}")


async def test_the_overview_says_what_is_wrong_first_and_draws_what_went_out(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    await sql(
        house,
        "insert into processes (name, role, host, pid, version, seen_at, ended_at) values"
        " ('h:1#a', 'worker', 'h', 1, 'v1', now() - interval '18 min', now() - interval '18 min')",
    )
    await sql(
        house,
        "insert into mails"
        " (id, kind, recipient, on_uncertain, state, created_at, changed_at, nudge_at, expires_at)"
        " select gen_random_uuid(), 'plain', 'a@example.org', 'resend', 'queued', now() - interval '9 min',"
        " now() - interval '9 min', now(), now() + interval '1 day' from generate_series(1, 310)",
    )
    for minutes in (2, 3, 30):
        await minutes_ago(house, minutes, sent=40, failed=2)
    await look(house)
    page = await olga.get("/desk")
    words = " ".join(page.split())
    assert "No worker runs since" in words
    assert "mails wait, the oldest since 9 minutes." in words
    assert words.index("No worker runs since") < words.index("<svg"), "what is wrong comes first"
    assert 'href="/desk/workers"' in words
    assert "120 sent, 12" in words  # 126 created, and the mail of the sign-up
    assert "6 failed, 4.8%" in words
    assert page.count("<svg") == 4
    assert page.count('<rect class="bar sent"') == 3
    assert " style=" not in page
    assert "<td>40</td>" in page, "the table says the same"
    live = await olga.get("/desk?part=live&period=week")
    assert "<html" not in live and live.count("<svg") == 4
    assert "No worker runs" not in await olga.get("/desk/audit"), "it has not fired"
    await sql(house, "update alerts set fired_at = now()")
    assert "No worker runs since" in await olga.get("/desk/audit"), "every page of the desk says so"


async def test_open_desks_that_see_the_same_are_drawn_once_and_others_get_their_own(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    await olga.browser.post("/desk/pauses", form={"what": "all", "name": "", "act": "pause"})
    vera = await with_role(house, "vera@example.org", "viewer")
    gerd = await with_role(house, "gerd@example.org", "operator")
    await sql(house, "update accounts set language = 'de' where email = 'gerd@example.org'")
    monkeypatch.setattr(overview, "FRESH", 60.0)
    first = await olga.get("/desk?part=live")
    assert "by olga@example.org" in first and "Resume" in first
    seen = await vera.get("/desk?part=live")
    assert "olga@" not in seen and "paused since" in seen and "Resume" not in seen
    german = await gerd.get("/desk?part=live")
    assert "olga@example.org" in german and "Resume" not in german and "Fortsetzen" in german
    assert await olga.get("/desk?part=live&period=week") != first
    monkeypatch.setattr(overview, "desk_page", None)
    assert await olga.get("/desk?part=live") == first, "it is not drawn again"


async def test_nothing_wrong_is_said_too_and_unknown_periods_are_the_hour(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    page = await olga.get("/desk?period=<b>")
    assert "Nothing is wrong. 0 workers run." in page
    assert "period=hour" in page


async def test_an_operator_pauses_resumes_drains_and_each_act_is_logged(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    await sql(
        house, "insert into processes (name, role, host, pid, version) values ('h:1#a', 'worker', 'h', 1, 'v1')"
    )
    post = olga.browser.post
    for form, status in (
        ({"what": "all", "name": "", "act": "pause"}, 303),
        ({"what": "all", "name": "", "act": "pause"}, 303),
        ({"what": "kind", "name": "plain", "act": "pause"}, 303),
        ({"what": "kind", "name": "nothing", "act": "pause"}, 400),
        ({"what": "stream", "name": "bulk", "act": "explode"}, 400),
        ({"what": "all", "name": "", "act": "resume"}, 303),
        ({"what": "tasks", "name": "", "act": "pause"}, 303),
    ):
        assert (await post("/desk/pauses", form=form)).status_code == status, form
    await sql(
        house,
        "insert into tasks (id, name, arguments, title, state, nudge_at, message, message_params)"
        " values ('00000000-0000-7000-8000-000000000001', 'count', '[]', 'A', 'queued', now(),"
        " 'task.paused', '{}')",
    )
    assert (await post("/desk/pauses", form={"what": "tasks", "name": "", "act": "resume"})).status_code == 303
    released = "select message, nudge_at < now() - interval '50 s' from tasks where name = 'count'"
    assert await sql(house, released) == [(None, True)]
    page = await olga.get("/desk/workers")
    assert "Mail from the shell (plain): paused since" in page and "All sending is paused" not in page
    for form, status in (
        ({"name": "h:1#a", "wish": "drain"}, 303),
        ({"name": "nobody", "wish": "drain"}, 404),
        ({"name": "h:1#a", "wish": "dance"}, 400),
    ):
        assert (await post("/desk/workers", form=form)).status_code == status, form
    assert await sql(house, "select wish from processes where name = 'h:1#a'") == [("drain",)]
    assert [(action, target) for action, _, target, _ in await audit(house)] == [
        ("worker.drain", "h:1#a"),
        ("tasks.resumed", None),
        ("tasks.paused", None),
        ("sending.resumed", None),
        ("sending.paused", "plain"),
        ("sending.paused", None),
    ]


async def test_the_doctor_and_a_deep_look_at_readiness_name_what_fires(house: House) -> None:
    browser = house.app.test_client()
    assert (await browser.get("/readyz?deep")).status_code == 200
    await sql(
        house,
        "insert into alerts (id, rule, facts, fired_at) values"
        " (gen_random_uuid(), 'no_worker', '{\"waiting\": 3}', now()), (gen_random_uuid(), 'waiting', '{}', null)",
    )
    deep = await browser.get("/readyz?deep")
    assert (deep.status_code, (await deep.get_json())["alerts"]) == (503, ["no_worker"])
    assert (await browser.get("/readyz")).status_code == 200, "no host takes a web process away for that"
    (finding,) = await doctor_alerts.check(house.services.settings)
    assert finding.mark is Mark.BROKEN and "3 mails wait" in finding.words
    await sql(house, "delete from alerts")
    (finding,) = await doctor_alerts.check(house.services.settings)
    assert finding.mark is Mark.GOOD


async def test_alerts_are_tested_and_silenced_and_a_viewer_sees_no_address(house: House, sink: Sink) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    victor = await with_role(house, "victor@example.org", "viewer")
    assert (await olga.browser.post("/desk/alerts/test")).headers["Location"] == "/desk/alerts?tested=yes"
    (mail,) = sink.accepted
    assert mail.recipient == "olga@example.org" and "A test of the alerts" in mail.message["Subject"]
    assert (
        await olga.browser.post("/desk/alerts/silence", form={"rule": "waiting", "hours": "8"})
    ).status_code == 303
    assert (await olga.browser.post("/desk/alerts/silence", form={"rule": "x", "hours": "8"})).status_code == 400
    assert "Mails wait too long: until" in " ".join((await olga.get("/desk/alerts")).split())
    seen = await victor.get("/desk/alerts")
    assert "o…@example.org" in seen and "olga@" not in seen
    await olga.browser.post("/desk/pauses", form={"what": "all", "name": "", "act": "pause"})
    for path in ("/desk", "/desk/workers", "/desk/alerts"):
        page = await victor.get(path)
        assert "olga@" not in page and 'action="/desk' not in page, path
    assert [act[0] for act in await audit(house)] == ["sending.paused", "alert.silenced", "alert.tested"]
