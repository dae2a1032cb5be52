"""Alerts in PostgreSQL: they begin, fire, pass and end; people are told over SMTP, once."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from mailroom.bootstrap.alerts import create_teller
from mailroom.desk.alerts.book import ALL, current_alerts, end_silence, past_alerts, silence
from mailroom.desk.alerts.teller import Words
from mailroom.desk.alerts.watch import AlertWatch
from mailroom.i18n.languages import speaking
from mailroom.i18n.messages import gettext
from mailroom.kit.database import Database
from mailroom.settings import Settings
from tests.sink import Fault, Sink


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
async def house(settings: Settings, sink: Sink) -> AsyncIterator["House"]:
    sink.accepted.clear()
    sink.faults.clear()
    changes = {"smtp_alert_url": sink.url, "alert_to": "olga@example.org, ops@example.org"}
    house = House(settings.model_copy(update=changes))
    yield house
    await house.database.close()


class House:
    """Alerts over a database, with no process around."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings.database_url, connections=6, name="test")
        self.watch = AlertWatch(self.database, create_teller(settings, self.database))
        self.teller = create_teller(settings, self.database)

    async def sql(self, statement: str) -> list[Any]:
        return await self.database.fetch(statement, {})

    async def worker(self, *, seen: str = "0 s") -> None:
        await self.sql(
            "insert into processes (name, role, host, pid, version, seen_at, started_at) values"
            f" ('host:1#a', 'worker', 'host', 1, 'v', now() - interval '{seen}', now() - interval '1 day')"
            " on conflict (name) do update set seen_at = excluded.seen_at"
        )

    async def later(self, seconds: float) -> None:
        """Let that much time pass for the alerts that are open."""
        await self.sql(
            f"update alerts set began_at = began_at - interval '{seconds} s', good_since = good_since"
            f" - interval '{seconds} s', telling_until = telling_until - interval '{seconds} s'"
        )

    async def look(self) -> list[tuple[str, bool]]:
        assert await self.watch.evaluate()
        await self.watch.tell()
        async with self.database.begin_plain() as work:
            return [(alert.rule, alert.firing) for alert in await current_alerts(work)]

    async def events(self) -> list[str]:
        return [row[0] for row in await self.sql("select type from events order by id")]


async def test_an_alert_fires_when_it_lasts_is_told_once_and_ends_when_it_is_good_for_a_while(
    house: House, sink: Sink
) -> None:
    await house.worker()
    await house.sql(
        "insert into mails"
        " (id, kind, recipient, on_uncertain, state, created_at, changed_at, nudge_at, expires_at)"
        " select gen_random_uuid(), 'note', 'a@example.org', 'resend', 'queued', now() - interval '90 s',"
        " now() - interval '90 s', now(), now() + interval '1 day' from generate_series(1, 3)"
    )
    assert await house.look() == [("waiting", False)]
    assert (await house.events(), sink.accepted) == ([], [])
    await house.later(60)
    assert await house.look() == [("waiting", True)]
    assert await house.look() == [("waiting", True)]
    assert await house.events() == ["alert.fired"]
    (mail,) = sink.accepted
    assert mail.message["To"] == "olga@example.org, ops@example.org"
    assert mail.message["Subject"] == "[Mailroom] Mails wait too long"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert "3 mails wait, the oldest since 2 minutes." in mail.part("plain")
    assert "http://localhost:8000/desk" in mail.part("plain")

    await house.sql("update mails set state = 'sent', nudge_at = null")
    assert await house.look() == [("waiting", True)], "it may come back"
    await house.later(31)
    assert await house.look() == []
    assert await house.events() == ["alert.fired", "alert.cleared"]
    assert len(sink.accepted) == 2
    assert sink.accepted[-1].message["Subject"].endswith("Over: Mails wait too long")
    async with house.database.begin_plain() as work:
        assert [alert.rule for alert in await past_alerts(work)] == ["waiting"]


async def test_no_worker_fires_though_nobody_sweeps_and_what_passes_by_itself_is_told_to_nobody(
    house: House, sink: Sink
) -> None:
    await house.worker(seen="10 min")
    assert await house.look() == [("no_worker", False)], "after a restart the worker needs a moment"
    await house.worker()
    assert await house.look() == [("no_worker", False)]
    await house.later(6)
    assert await house.look() == []
    assert (await house.events(), sink.accepted) == ([], [])
    await house.worker(seen="10 min")
    await house.look()
    await house.sql("update alerts set id = ('00' || substr(id::text, 3))::uuid")  # noticed long ago
    assert await house.look() == [("no_worker", True)]
    assert "No worker runs" in sink.accepted[0].message["Subject"]


async def test_an_alert_that_cannot_be_mailed_is_tried_again_and_a_silence_is_kept(
    house: House, sink: Sink
) -> None:
    await house.worker()
    await house.sql(
        "insert into mails (id, kind, recipient, on_uncertain, state, expires_at)"
        " values (gen_random_uuid(), 'note', 'a@example.org', 'hold', 'uncertain', now())"
    )
    async with house.database.begin_plain() as work:
        await silence(work, ALL, timedelta(hours=1), "olga@example.org")
    assert await house.look() == [("uncertain", True)], "it is shown all the same"
    assert sink.accepted == []
    async with house.database.begin_plain() as work:
        await end_silence(work, ALL)
    sink.faults.append(Fault("mail", reply="451 later", times=1))
    await house.look()
    assert sink.accepted == []
    await house.later(61)
    await house.look()
    assert len(sink.accepted) == 1


async def test_each_reader_gets_an_alert_in_their_language_and_by_their_clock(house: House, sink: Sink) -> None:
    await house.sql(
        "insert into accounts (id, email, email_key, password_hash, language, time_zone) values"
        " (gen_random_uuid(), 'olga@example.org', 'olga@example.org', '', 'de', 'Europe/Berlin')"
    )
    await house.sql(
        "insert into mails (id, kind, recipient, on_uncertain, state, expires_at)"
        " values (gen_random_uuid(), 'note', 'a@example.org', 'hold', 'uncertain', now())"
    )
    await house.worker()
    await house.look()
    subjects = {mail.message["To"]: mail.message["Subject"] for mail in sink.accepted}
    assert subjects["ops@example.org"] == "[Mailroom] Mails wait for a decision"
    with speaking("de"):
        assert subjects["olga@example.org"] == f"[Mailroom] {gettext('Mails wait for a decision')}"
    assert len(set(subjects.values())) == 2


async def test_whom_an_alert_did_not_reach_is_tried_again_and_the_others_hear_of_it_once(
    house: House, sink: Sink
) -> None:
    await house.sql(
        "insert into accounts (id, email, email_key, password_hash, language) values"
        " (gen_random_uuid(), 'olga@example.org', 'olga@example.org', '', 'de')"
    )
    await house.sql(
        "insert into mails (id, kind, recipient, on_uncertain, state, expires_at)"
        " values (gen_random_uuid(), 'note', 'a@example.org', 'hold', 'uncertain', now())"
    )
    await house.worker()

    async def hear() -> list[str]:
        before = len(sink.accepted)
        await house.look()
        return sorted(str(mail.message["To"]) for mail in sink.accepted[before:])

    sink.faults.append(Fault("rcpt", reply="450 4.2.1 later", recipient="olga@example.org"))
    assert await hear() == ["ops@example.org"]
    assert await hear() == [], "a minute is left to whoever tells"
    await house.later(61)
    assert await hear() == [], "who heard of it hears of it once"
    sink.faults.clear()
    await house.later(61)
    assert await hear() == ["olga@example.org"]
    await house.later(61)
    assert await hear() == []
    assert await house.sql("select reached, told_at is not null from alerts") == [([], True)]


async def test_who_heard_that_something_is_wrong_hears_that_it_is_over(house: House, sink: Sink) -> None:
    await house.sql(
        "insert into mails (id, kind, recipient, on_uncertain, state, expires_at)"
        " values (gen_random_uuid(), 'note', 'a@example.org', 'hold', 'uncertain', now())"
    )
    await house.worker()
    sink.faults.append(Fault("rcpt", reply="550 5.1.1 nobody", recipient="olga@example.org"))
    await house.look()
    assert await house.sql("select reached, told_at from alerts") == [(["ops@example.org"], None)]
    await house.sql("update mails set state = 'sent'")
    await house.look()
    await house.later(61)
    assert await house.look() == []
    heard = [mail for mail in sink.accepted if mail.recipient == "ops@example.org"]
    assert "Over" in heard[-1].message["Subject"] and len(heard) == 2
    await house.sql("update alerts set ended_at = ended_at - interval '2 h', telling_until = null")
    await house.look()
    assert await house.sql("select reached, told_end_at is not null from alerts") == [([], True)], "given up"


async def test_one_process_evaluates_at_a_time(house: House) -> None:
    async with house.database.begin_plain() as work:
        await work.fetch(f"select pg_advisory_xact_lock({0x616C7274})", {})
        assert await house.watch.evaluate() is False
    assert await house.watch.evaluate() is True


async def test_the_test_button_says_what_is_wrong(house: House, sink: Sink) -> None:
    words = Words("Test", "This is a test.")
    assert await house.teller.send(["olga@example.org"], words) is None
    sink.faults.append(Fault("rcpt", reply="550 5.1.1 nobody", times=1))
    assert "nobody" in (await house.teller.send(["olga@example.org"], words) or "")


async def test_mails_that_an_operator_cancels_do_not_make_failures_fewer(house: House) -> None:
    await house.worker()
    await house.sql(
        "insert into statistics (span, at, name, label, process, count) values"
        " ('minute', date_trunc('minute', now()), 'ended', 'sent', 'a', 700),"
        " ('minute', date_trunc('minute', now()), 'ended', 'failed', 'a', 300),"
        " ('minute', date_trunc('minute', now()), 'ended', 'cancelled', 'a', 10000)"
    )
    await house.look()
    await house.later(600)
    assert ("failures", True) in await house.look()
