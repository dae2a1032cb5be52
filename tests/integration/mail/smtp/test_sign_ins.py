"""A password that the mail server refuses is tried once by all workers together, and then ever more rarely."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext

import pytest

from mailroom.kit.database import Database
from mailroom.mail.smtp.connection import ServerTrouble, SmtpConnection, Timeouts
from mailroom.mail.smtp.pool import CircuitOpen, Pool
from mailroom.mail.smtp.sign_ins import WAITS, SignIns
from mailroom.ops.doctor import mail_server
from mailroom.settings import Settings, SMTPServer
from tests.conftest import settings_of
from tests.integration.mail.delivery.test_deliverer import sink
from tests.sink import Fault, Sink

__all__ = ["sink"]  # a fixture, used by its name

REFUSED = "535 5.7.8 bad credentials"
MakePool = Callable[..., Pool]


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url, connections=8, name="test")
    yield database
    await database.close()


@pytest.fixture
async def pool_of(database: Database, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakePool]:
    """Return what makes the pool of another worker process."""
    monkeypatch.setattr("mailroom.mail.smtp.pool.PROBE_EVERY", 0.05)
    monkeypatch.setattr("mailroom.mail.smtp.sign_ins.LOOK_EVERY", 0.02)
    sink.auth = "PLAIN"
    made: list[Pool] = []

    def pool_of(password: str = "wrong") -> Pool:
        server = SMTPServer.parse(sink.url_with(password))
        sign_ins = SignIns(database, server, "a key of this installation")
        made.append(
            Pool(server, timeouts=Timeouts(1, 1, 1, 1), hostname="test.example", limit=4, sign_ins=sign_ins)
        )
        return made[-1]

    yield pool_of
    for pool in made:
        await pool.close()


async def borrow(pool: Pool) -> bool:
    """Return whether a connection was to be had."""
    try:
        pool.give_back(await pool.borrow())
    except CircuitOpen:
        return False
    return True


async def test_a_wrong_password_is_tried_once_by_all_connections_of_all_workers(
    pool_of: MakePool, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.faults.append(Fault("auth", reply=REFUSED))
    pools = [pool_of() for _ in range(3)]
    had = await asyncio.gather(*(borrow(pool) for pool in pools for _ in range(4)))
    await asyncio.sleep(1)  # twenty probes of each
    assert not any(had)
    assert sink.sign_ins == 1
    assert all(pool.outage and pool.outage.result[:3] == ("sign-in", 535, "5.7.8") for pool in pools)
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.levelno == logging.ERROR
    assert "does not accept the sign-in (535 5.7.8)" in line.getMessage()
    assert "wrong" not in caplog.text


async def test_the_tries_after_it_wait_longer_each_time(
    pool_of: MakePool, sink: Sink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mailroom.mail.smtp.sign_ins.WAITS", (0.2, 0.4, 60.0))
    sink.faults.append(Fault("auth", reply=REFUSED))
    pools = [pool_of(), pool_of()]
    await asyncio.gather(*map(borrow, pools))
    await asyncio.sleep(2)
    assert sink.sign_ins == 3
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_no_ten_minutes_have_five_tries() -> None:
    """fail2ban's usual limit."""
    tries, at = [0.0], 0.0
    for number in range(20):
        at += WAITS[min(number, len(WAITS) - 1)]
        tries.append(at)
    assert all(sum(begin <= at < begin + 600 for at in tries) < 5 for begin in tries)


async def test_another_password_is_tried_at_once(pool_of: MakePool, sink: Sink) -> None:
    sink.faults.append(Fault("auth", reply=REFUSED, times=1))
    assert not await borrow(pool_of("wrong"))
    assert await borrow(pool_of("right"))
    assert sink.sign_ins == 2


async def test_a_sign_in_that_is_good_makes_nobody_wait(pool_of: MakePool, sink: Sink) -> None:
    sink.faults.append(Fault("auth", delay=0.2, times=1))
    began = asyncio.get_running_loop().time()
    pools = [pool_of("right") for _ in range(3)]
    assert all(await asyncio.gather(*(borrow(pool) for pool in pools for _ in range(4))))
    assert asyncio.get_running_loop().time() - began < 2


async def test_a_password_that_was_changed_at_the_server_is_noticed_and_its_return_frees_all(
    pool_of: MakePool, sink: Sink, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.mail.smtp.sign_ins.WAITS", (60.0,))
    first, second = pool_of(), pool_of()
    assert await borrow(first)
    sink.faults.append(Fault("auth", reply=REFUSED))
    assert not await borrow(second)
    assert not await borrow(pool_of())
    assert sink.sign_ins == 2
    sink.faults.clear()
    await SignIns(database, second.server, "a key of this installation").accepted()
    await asyncio.sleep(0.3)
    assert second.outage is None


async def test_the_doctor_who_gets_in_ends_the_waiting(
    environment: dict[str, str], database: Database, sink: Sink
) -> None:
    sink.auth = "PLAIN"
    settings = settings_of({**environment, "SMTP_URL": sink.url_with("right")})
    sign_ins = SignIns(database, settings.smtp, settings.secret_keys[0])
    sink.faults.append(Fault("auth", reply=REFUSED, times=1))
    for refused in (True, False):
        with pytest.raises(ServerTrouble) if refused else nullcontext():
            async with sign_ins.trying():
                await SmtpConnection.open(settings.smtp, Timeouts(1, 1, 1, 1), "test.example")
        if refused:
            with pytest.raises(ServerTrouble):
                await sign_ins._begin()  # it is too early
            assert (await mail_server.check(settings))[0].check == "mail server"


@pytest.mark.parametrize("fault", [Fault("auth", close=True, times=1), Fault("connect", close=True, times=1),
                                   Fault("auth", reply="421 4.3.2 busy", times=1)])  # fmt: skip
async def test_what_is_no_verdict_on_the_password_is_no_refusal(
    pool_of: MakePool, sink: Sink, fault: Fault
) -> None:
    sink.faults.append(fault)
    pool = pool_of("right")
    assert not await borrow(pool)
    await asyncio.sleep(0.5)
    assert pool.outage is None


async def test_a_process_that_dies_at_its_try_keeps_nobody_waiting_for_ever(
    pool_of: MakePool, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.mail.smtp.sign_ins.LEASE", 0.5)
    pool = pool_of("right")
    assert pool._sign_ins
    await pool._sign_ins._begin()  # and never says how it ended
    assert await borrow(pool)


async def test_while_postgresql_is_away_each_process_goes_by_what_it_has_seen(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.auth = "PLAIN"
    sink.faults.append(Fault("auth", reply=REFUSED))
    server = SMTPServer.parse(sink.url_with("wrong"))
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:9/none", connections=4, name="test")
    pool = Pool(
        server,
        timeouts=Timeouts(1, 1, 1, 1),
        hostname="test.example",
        limit=4,
        sign_ins=SignIns(nowhere, server, "key"),
    )
    for _ in range(3):
        pool.outage = None
        assert not await borrow(pool)
    await pool.close()
    await nowhere.close()
    assert sink.sign_ins == 1


@pytest.mark.parametrize(
    ("offered", "refusal", "tries"),
    [("PLAIN LOGIN CRAM-MD5", REFUSED, 1), ("LOGIN PLAIN", "504 5.5.4 not this one", 2)],
)
async def test_only_an_unknown_mechanism_has_the_password_sent_by_another(
    sink: Sink, offered: str, refusal: str, tries: int
) -> None:
    sink.auth = offered
    sink.faults.append(Fault("auth", reply=refusal))
    with pytest.raises(ServerTrouble):
        await SmtpConnection.open(SMTPServer.parse(sink.url_with("wrong")), Timeouts(1, 1, 1, 1), "test.example")
    assert sink.sign_ins == tries
