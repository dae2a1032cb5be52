"""Rate limits while Redis is slow, frozen, reset, or has forgotten: never a fresh budget."""

import asyncio
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import redis
import uvloop

from mailroom.ops.embedded.valkey import running_valkey
from mailroom.web.rate_limits.memory import Rate
from mailroom.web.rate_limits.store import LimitStore
from tests.integration.web.test_limits import DAY, TEN_A_DAY


class Proxy:
    """Stands between a store and Valkey; may hold answers back, and may reset connections."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.delay = 0.0
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_behind = await asyncio.open_connection("127.0.0.1", self._behind)
        self._writers |= {writer, to_behind}
        await asyncio.gather(
            self._pass(reader, to_behind, 0), self._pass(behind, writer, 1), return_exceptions=True
        )

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: int) -> None:
        try:
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay * back)
                writer.write(data)
        finally:
            writer.close()

    def reset(self) -> None:
        """Cut every connection with a TCP reset, as load balancers do with idle ones."""
        for writer in self._writers:
            peer = writer.get_extra_info("socket")
            if peer.fileno() >= 0:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()


@pytest.fixture
def valkey_port(redis_url: str) -> int:
    return int(redis_url.rpartition(":")[2].partition("/")[0])


def url_through(redis_url: str, port: int) -> str:
    before, _, after = redis_url.rpartition(":")
    return f"{before}:{port}/{after.partition('/')[2]}"


@asynccontextmanager
async def opened(url: str, *, patience: float, away: float = 5) -> AsyncIterator[LimitStore]:
    store = LimitStore(url, patience=patience, away=away)
    try:
        yield store
    finally:
        await store.close()


async def passed(*stores: LimitStore, times: int) -> int:
    """Have all stores asked at once, and in turn; return how many requests may pass."""
    verdicts = await asyncio.gather(*(stores[number % len(stores)].take(TEN_A_DAY) for number in range(times)))
    return sum(verdict.wait == 0 for verdict in verdicts)


async def test_a_burst_in_two_processes_passes_ten_however_busy_they_are(redis_url: str) -> None:
    async with opened(redis_url, patience=20) as one, opened(redis_url, patience=20) as other:
        assert await passed(one, other, times=400) == 10


async def test_a_redis_that_becomes_slow_opens_no_fresh_budget(redis_url: str, valkey_port: int) -> None:
    proxy = Proxy(valkey_port)
    async with proxy.open() as port, opened(url_through(redis_url, port), patience=0.1, away=0.2) as store:
        counted = await passed(store, times=6)
        proxy.delay = 0.4
        for _ in range(8):
            counted += await passed(store, times=5)
            await asyncio.sleep(0.06)
        proxy.delay = 0.0
        await asyncio.sleep(0.5)
        for _ in range(5):
            counted += await passed(store, times=5)
        assert counted == 10


async def test_what_was_counted_while_redis_was_frozen_counts_when_it_is_back(tmp_path: Path) -> None:
    with running_valkey(tmp_path / "valkey") as valkey:
        with redis.Redis.from_url(valkey.url) as client:
            pid = int(client.info("server")["process_id"])
        hasty = partial(opened, valkey.url, patience=0.1, away=0.2)
        async with hasty() as store, hasty() as other:
            counted = await passed(store, times=2)
            os.kill(pid, signal.SIGSTOP)
            try:
                counted += await passed(store, times=5)
            finally:
                os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.3)
            counted += await passed(store, times=1)  # which tells Redis of the others
            assert counted == 8
            assert await passed(other, times=10) <= 3


async def test_a_redis_that_comes_back_empty_opens_no_fresh_budget(tmp_path: Path) -> None:
    with running_valkey(tmp_path / "valkey") as valkey:
        async with opened(valkey.url, patience=5, away=0.2) as store:
            assert await passed(store, times=20) == 10
            await asyncio.to_thread(valkey.stop)
            assert await passed(store, times=20) == 0
            await asyncio.to_thread(lambda: valkey.start().wait_ready())
            with redis.Redis.from_url(valkey.url) as client:
                client.flushdb()
            await asyncio.sleep(0.3)
            assert await passed(store, times=20) == 0


async def test_an_operator_may_give_a_budget_back(redis_url: str) -> None:
    """While Redis answers it decides: a key that is deleted there is forgotten here, too."""
    async with opened(redis_url, patience=5) as store:
        assert await passed(store, times=20) == 10
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        assert await passed(store, times=20) == 10


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_connection_that_was_reset_while_idle_is_nobodys_error(
    redis_url: str, valkey_port: int, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    hundred = Rate("key", 100, DAY)

    async def resets() -> None:
        proxy = Proxy(valkey_port)
        async with proxy.open() as port, opened(url_through(redis_url, port), patience=5) as store:
            for _ in range(20):
                assert (await store.take([hundred])).wait == 0
                proxy.reset()
                await asyncio.sleep(0.01)
            used = (await store.take([hundred])).used[0] / hundred.each
            assert used == pytest.approx(21, abs=0.5), "all were counted in Redis"
            proxy.reset()
            await asyncio.sleep(0.01)

    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(resets())
    assert "counted in this process" not in caplog.text
