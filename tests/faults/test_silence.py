"""The network swallows: open connections go silent, new ones work. Firewalls and load balancers do that."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.faults.conftest import Recovers
from tests.faults.silent_proxy import BOTH, Direction, SilentProxy
from tests.faults.stack import IN_FLIGHT, Stack, under_way

pytestmark = pytest.mark.faults

SILENT = [BOTH, (Direction.TO_SERVER,), (Direction.TO_CLIENT,)]
FIRST_AFTER_SILENCE = 30.0
"""Seconds until the first mail, promised in docs/RELIABILITY.md."""


@contextmanager
def through(url: str) -> Iterator[tuple[SilentProxy, str]]:
    """Put a proxy before a server; yield it, and the address that leads through it."""
    port = urlsplit(url).port
    assert port
    with SilentProxy("127.0.0.1", port) as proxy:
        yield proxy, url.replace(f":{port}", f":{proxy.port}")


def way(directions: tuple[Direction, ...]) -> str:
    return " and ".join(direction.value for direction in directions)


@pytest.mark.parametrize("directions", SILENT, ids=way)
def test_redis_goes_silent_for_a_worker(
    stack: Stack, recovers: Recovers, directions: tuple[Direction, ...]
) -> None:
    with through(stack.valkey.url) as (proxy, url):
        stack.worker(REDIS_URL=url)
        stack.put(20)
        under_way(stack, 20)
        proxy.silence(*directions)
        began = time.time()
        stack.put(IN_FLIGHT)
        recovers(began, first=FIRST_AFTER_SILENCE)


@pytest.mark.parametrize("directions", SILENT, ids=way)
def test_postgresql_goes_silent_for_a_worker(
    stack: Stack, recovers: Recovers, directions: tuple[Direction, ...]
) -> None:
    with through(stack.postgres.url) as (proxy, url):
        stack.worker(DATABASE_URL=url)
        stack.put(20)
        under_way(stack, 20)
        proxy.silence(*directions)
        began = time.time()
        stack.put(IN_FLIGHT)
        recovers(began, first=FIRST_AFTER_SILENCE)
