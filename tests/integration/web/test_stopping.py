"""A web process that is told to stop while its servers go, too: requests get an answer, and nothing raises."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.valkey import running_valkey
from tests.conftest import END_CLIENTS, database_on
from tests.integration.web.fuzzing import Target, environment_for, target
from tests.integration.web.test_overload import sign_in, sign_up

REFUSE = "alter database {0} with allow_connections false"


class Crowd:
    """People who go on asking for pages until nobody answers."""

    def __init__(self, web: Target) -> None:
        self.web, self.statuses, self.over = web, Counter[int](), False
        self._numbers = iter(range(10_000))

    def request(self) -> bytes:
        number = next(self._numbers)
        signed_in = [b"/account", b"/tasks", b"/api/v1/tasks", b"/mails/0195d1f0-0000-7000-8000-000000000000"]
        choices = [self.web.request(path, signed_in=True) for path in signed_in]
        choices += [sign_in(self.web), sign_up(self.web, number), self.web.request(b"/readyz")]
        return choices[number % len(choices)]

    async def one(self) -> None:
        while not self.over:
            try:
                self.statuses.update(await self.web.answers(self.request()))
            except ConnectionError:
                await asyncio.sleep(0.05)


@pytest.fixture
def web(postgres: Postgres, tmp_path: Path) -> Iterator[Target]:
    with (
        running_valkey(tmp_path / "valkey") as valkey,
        database_on(postgres, f"stopping_{os.getpid()}") as url,
        target(environment_for(url, valkey.url), tmp_path) as web,
    ):
        web.database_url, web.valkey = url, valkey
        yield web


@pytest.mark.parametrize("redis", ["stays", "goes"])
async def test_who_asks_while_everything_stops_gets_an_answer_of_no_fault_of_ours(
    web: Target, postgres: Postgres, redis: str
) -> None:
    crowd = Crowd(web)
    people = [asyncio.create_task(crowd.one()) for _ in range(30)]
    await asyncio.sleep(1.5)
    name = web.database_url.rpartition("/")[2]
    with psycopg.connect(postgres.url, dbname="postgres", autocommit=True) as connection:
        connection.execute(REFUSE.format(name))
        connection.execute(END_CLIENTS, [name])
    if redis == "goes":
        web.valkey.stop()
    await asyncio.sleep(0.5)
    web.process.signal(signal.SIGTERM)
    code = await asyncio.to_thread(web.process.process.wait, 20)
    crowd.over = True
    await asyncio.wait(people, timeout=10)
    errors = [line for line in web.process.text.splitlines() if "Traceback" in line or " error " in line]
    assert code == 0 and not errors, (code, web.process.text[-4000:])
    assert crowd.statuses[503] > 20 and not crowd.statuses[500], crowd.statuses
