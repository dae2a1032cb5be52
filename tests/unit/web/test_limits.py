import asyncio
import time
from collections.abc import Callable

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from mailroom.web.rate_limits.memory import MemoryLimits, Rate
from mailroom.web.rate_limits.store import LimitStore
from tests.unit.web.fakes import PASSWORD

TWO_A_MINUTE = [Rate("key", 2, 60.0)]
WRONG = {"email": "alice@example.org", "password": "wrong"}


def test_so_many_pass_and_the_next_is_told_how_long() -> None:
    store = MemoryLimits()
    assert [store.take(TWO_A_MINUTE).wait for _ in range(2)] == [0, 0]
    assert 29 < store.take(TWO_A_MINUTE).wait <= 30


def test_a_refused_request_uses_up_nothing() -> None:
    store = MemoryLimits()
    both = [Rate("short", 1, 60.0), Rate("long", 100, 3600.0)]
    first = store.take(both)
    assert store.take(both).used[1] == pytest.approx(first.used[1], abs=0.1)


def test_memory_is_bounded_however_many_come() -> None:
    store = MemoryLimits(most=100)
    for number in range(1000):
        store.take([Rate(f"key-{number}", 2, 60.0)])
    assert len(store) == 100


async def test_without_redis_this_process_counts_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    store = LimitStore("redis://127.0.0.1:1/0")
    waits = [(await store.take(TWO_A_MINUTE)).wait for _ in range(3)]
    assert waits[:2] == [0, 0]
    assert waits[2] > 0
    assert caplog.text.count("counted in this process") == 1
    await store.close()


async def test_a_redis_that_never_answers_costs_one_short_wait() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        store = LimitStore(f"redis://127.0.0.1:{port}/0")
        began = time.monotonic()
        for _ in range(200):
            await store.take([Rate("key", 1000, 60.0)])
        assert time.monotonic() - began < 10, "a wait each would take a minute"
        await store.close()


async def test_the_eleventh_sign_in_of_a_minute_is_asked_to_wait(browser: Client) -> None:
    for number in range(10):
        form = {**WRONG, "email": f"person{number}@example.org"}
        assert (await browser.post("/sign-in", form=form)).status_code == 422
    answer = await browser.post("/sign-in", form={**WRONG, "password": PASSWORD})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 6
    assert "Please try again in" in await answer.get_data(as_text=True)
    assert answer.headers["RateLimit-Limit"] == "10"


async def test_where_two_limits_are_reached_the_longer_wait_is_told_at_once(
    browser: Client,
) -> None:
    for _ in range(10):
        assert (await browser.post("/sign-in", form=WRONG)).status_code == 422
    answer = await browser.post("/sign-in", form={**WRONG, "password": PASSWORD})
    assert answer.status_code == 429
    assert 20 < int(answer.headers["Retry-After"]) <= 30, "the address waits longer than the client"
    assert "attempts to sign in with this address" in await answer.get_data(as_text=True)


async def test_looking_at_a_form_does_not_count(browser: Client) -> None:
    for _ in range(15):
        assert (await browser.get("/sign-in")).status_code == 200
    assert (await browser.post("/sign-in", form=WRONG)).status_code == 422


async def test_requests_that_arrive_together_are_counted_one_by_one(app: Quart) -> None:
    answers = await asyncio.gather(*(app.test_client().post("/sign-in", form=WRONG) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [422] * 10 + [429] * 20


async def test_behind_a_proxy_each_client_has_a_limit_of_its_own(make_app: Callable[..., Quart]) -> None:
    client = make_app(trusted_proxies=1).test_client()
    for number in range(15):
        headers = {"X-Forwarded-For": f"spoofed, 192.0.2.{number}"}
        form = {**WRONG, "email": f"alice{number}@example.org"}
        assert (await client.post("/sign-in", form=form, headers=headers)).status_code == 422
    answers = [
        await client.post("/sign-in", form=WRONG, headers={"X-Forwarded-For": f"{number}, 198.51.100.1"})
        for number in range(11)
    ]
    assert answers[-1].status_code == 429


async def test_the_log_says_it_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    store = LimitStore("redis://127.0.0.1:1/0", away=0)
    for number in range(200):
        await store.take([Rate(f"key-{number}", 1000, 60.0)])
    assert caplog.text.count("counted in this process") == 1
    await store.close()


async def test_too_many_sign_ups_are_not_told_of_sign_ins(browser: Client) -> None:
    for number in range(25):
        form = {"email": f"alice{number}@example.org", "password": PASSWORD}
        answer = await browser.post("/sign-up", form=form)
    assert answer.status_code == 429
    assert "sign in with this address" not in await answer.get_data(as_text=True)
