"""A program that sends over HTTP, for benchmarks."""

import asyncio
import time
from typing import Any

import httpx

from benchmarks.postfix import wait_for
from benchmarks.stage import Stage
from mailroom.api_keys.keys import KeyRequest
from mailroom.bootstrap.services import create_services

SENDER = "shop@example.org"


def make_key(stage: Stage) -> str:
    """Return a new API key that may send."""

    async def run() -> str:
        services = create_services(stage.settings(9), lambda _ids: None, lambda *_: None, name="bench")
        async with services.database.begin() as work:
            _, secret = await services.api_keys.create(work, KeyRequest("bench", scope="sending"))
        await services.database.close()
        return secret

    return asyncio.run(run())


def post(url: str, key: str, body: Any, count: int, *, at_once: int) -> float:
    """Send a body so often, `at_once` at a time; return requests a second."""

    async def run() -> float:
        headers, limits = {"Authorization": f"Bearer {key}"}, httpx.Limits(max_connections=at_once)
        content = httpx.Request("POST", url, json=body).read()  # encoded once: the client shares our cores
        async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60) as client:
            left = iter(range(count))

            async def some() -> None:
                for _ in left:
                    answer = await client.post(url, content=content, headers={"Content-Type": "application/json"})
                    answer.raise_for_status()

            began = time.perf_counter()
            await asyncio.gather(*(some() for _ in range(at_once)))
            return count / (time.perf_counter() - began)

    return asyncio.run(run())


def until_it_answers(url: str) -> None:
    """Wait for a web server."""

    def answers() -> bool:
        try:
            return httpx.get(url).is_success
        except httpx.HTTPError:
            return False

    wait_for(answers)
