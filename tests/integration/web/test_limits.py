"""Rate limits over a real Valkey: shared by all processes, exact, and never in anyone's way."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import redis
from quart.typing import TestAppProtocol as App

from mailroom.accounts.tokens import Tokens
from mailroom.bootstrap.web import create_web
from mailroom.kit.ids import parse_id
from mailroom.ops.embedded.valkey import running_valkey
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.parts import part_of
from mailroom.web.rate_limits.memory import Rate
from mailroom.web.rate_limits.store import LimitStore

DAY = 86_400.0
TEN_A_DAY = [Rate("sign-in:192.0.2.1", 10, DAY), Rate("sign-in:week:192.0.2.1", 1000, 7 * DAY)]
"""Nothing is given back while a test runs, however slow its machine is."""

PASSWORD = "otter lamp quiet ferry window"


@pytest.fixture
async def two(redis_url: str) -> AsyncIterator[tuple[LimitStore, LimitStore]]:
    """The stores of two web processes, patient: how busy the test's machine is, is not the point."""
    stores = LimitStore(redis_url, patience=5), LimitStore(redis_url, patience=5)
    yield stores
    for store in stores:
        await store.close()


async def test_two_processes_count_together(two: tuple[LimitStore, LimitStore]) -> None:
    verdicts = [await two[number % 2].take(TEN_A_DAY) for number in range(12)]
    assert [verdict.wait > 0 for verdict in verdicts] == [False] * 10 + [True] * 2
    assert verdicts[-1].wait == pytest.approx(DAY / 10, abs=60)
    assert verdicts[9].used == pytest.approx((DAY, 7 * DAY / 100), abs=60)


async def test_requests_that_arrive_together_do_not_slip_through(
    two: tuple[LimitStore, LimitStore],
) -> None:
    verdicts = await asyncio.gather(*(two[number % 2].take(TEN_A_DAY) for number in range(10)))
    verdicts += await asyncio.gather(*(two[number % 2].take(TEN_A_DAY) for number in range(10)))
    assert sum(verdict.wait == 0 for verdict in verdicts) == 10


async def test_a_very_high_limit_is_counted_here_and_told_to_the_others_a_moment_later(
    two: tuple[LimitStore, LimitStore],
) -> None:
    loop_gone_wild = [Rate("api:192.0.2.1", 30_000, 60.0)]
    assert {(await two[0].take(loop_gone_wild)).wait for _ in range(15_000)} == {0}
    wait_for = 0.0
    while wait_for < 10 and (await two[1].take(loop_gone_wild)).used[0] < 10:
        await asyncio.sleep(0.05)
        wait_for += 0.05
    assert (await two[1].take(loop_gone_wild)).used[0] > 10, "the other process knows of half a minute's requests"
    waits = [(await two[0].take(loop_gone_wild)).wait for _ in range(30_000)]
    assert waits[0] == 0 and waits[-1] > 0


async def test_nothing_is_kept_for_longer_than_it_counts(
    two: tuple[LimitStore, LimitStore], redis_url: str
) -> None:
    await two[0].take(TEN_A_DAY)
    with redis.Redis.from_url(redis_url) as client:
        keys = sorted(client.keys("mailroom:limit:*"))
        assert len(keys) == 2
        assert all(0 < client.pttl(key) / 1000 <= DAY / 10 + 2 for key in keys)


async def test_a_frozen_valkey_costs_one_short_wait_and_is_found_again(
    tmp_path: Path,
) -> None:
    plenty = [Rate("key", 100_000, 3600.0)]
    with running_valkey(tmp_path / "valkey") as valkey:
        with redis.Redis.from_url(valkey.url) as client:
            pid = int(client.info("server")["process_id"])
        store = LimitStore(valkey.url, away=0.3)
        await store.take(plenty)
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            await store.take(plenty)
            first = time.monotonic() - began
            began = time.monotonic()
            for _ in range(500):
                await store.take(plenty)
            rest = time.monotonic() - began
        finally:
            os.kill(pid, signal.SIGCONT)
        assert 0.04 < first < 0.5
        assert rest < 0.3
        await asyncio.sleep(0.35)
        used = (await store.take(plenty)).used[0]
        assert 17 < used < 18.2  # 503 times 36 ms: what this process counted by itself is not forgotten
        await store.close()


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """The pages over real services, behind a proxy: each test says who asks. As patient as `two`."""
    monkeypatch.setattr("mailroom.web.app.LimitStore", partial(LimitStore, patience=5))
    changes = {"public_url": "http://localhost", "trusted_proxies": 1}
    async with create_web(settings.model_copy(update=changes)).test_app() as running:
        yield running


async def sign_in(app: App, email: str, password: str, *, client: int) -> tuple[int, str | None, str]:
    """Sign in from the address of `client`; return the status, Retry-After and the page."""
    answer = await app.test_client().post(
        "/sign-in",
        form={"email": email, "password": password},
        headers={"X-Forwarded-For": f"192.0.2.{client}"},
    )
    return answer.status_code, answer.headers.get("Retry-After"), await answer.get_data(as_text=True)


async def member(app: App, settings: Settings, email: str) -> None:
    browser = app.test_client()
    promised = await browser.post("/sign-up", form={"email": email, "password": PASSWORD})
    services = part_of(app.app, Services)
    async with services.database.begin() as work:
        mail = await services.outbox.find(work, parse_id(promised.headers["Location"].rpartition("/")[2]))
    token = Tokens(settings.secret_keys).token(mail.id, mail.nonce)
    assert (await browser.post(f"/confirm/{token}")).status_code == 303


async def test_guesses_at_one_address_from_many_clients_are_slowed_down_alike_for_known_and_unknown(
    app: App, settings: Settings, redis_url: str
) -> None:
    await member(app, settings, "alice@example.org")
    refused = []
    for email, known in (("alice@example.org", True), ("nobody@example.org", False)):
        for client in range(9):
            assert (await sign_in(app, email, "a wrong password", client=client))[0] == 422
        tenth, _, _ = await sign_in(app, email.upper(), PASSWORD, client=10)  # an address in any of its forms
        assert tenth == (303 if known else 422)
        refused.append([await sign_in(app, email, word, client=11) for word in ("a wrong password", PASSWORD)])
    assert {status for status, _, _ in refused[0] + refused[1]} == {429}
    assert all(20 < int(seconds or 0) <= 30 for _, seconds, _ in refused[0] + refused[1])
    for page in (refused[0][0][2], refused[0][1][2], refused[1][0][2]):
        assert "many attempts to sign in with this address" in page
        assert "Please try again in" in page
        assert 'href="/new-password"' in page
    assert (await sign_in(app, "bob@example.org", PASSWORD, client=11))[0] == 422, "this client has not been fast"

    with redis.Redis.from_url(redis_url) as client:
        kept = b" ".join(client.keys("mailroom:limit:*"))
    assert b"address:" in kept and b"alice" not in kept and b"nobody" not in kept


async def test_failures_in_a_row_make_that_client_wait_alike_for_known_and_unknown(
    app: App, settings: Settings
) -> None:
    await member(app, settings, "alice@example.org")
    answers = []
    for client, email in ((21, "alice@example.org"), (22, "nobody@example.org")):
        for _ in range(6):
            assert (await sign_in(app, email, "a wrong password", client=client))[0] == 422
        status, seconds, page = await sign_in(app, email, PASSWORD, client=client)
        answers.append((status, re.sub(r'data-now="[^"]*"|nobody|alice|<[^>]*wait[^>]*>', "", page)))
        assert status == 429 and 1 <= int(seconds or 0) <= 2
        assert 'href="/new-password"' in page
    assert answers[0] == answers[1]
    assert (await sign_in(app, "alice@example.org", PASSWORD, client=23))[0] == 303, "the owner, elsewhere"
