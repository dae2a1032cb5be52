"""A Redis that has become a replica: connections to it are left, and new ones lead to the primary."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import redis
from redis.exceptions import ReadOnlyError

from mailroom.jobs.app import TRANSACTIONAL, create_celery
from mailroom.jobs.publisher import Publisher
from mailroom.jobs.results import ResultWriter
from mailroom.kit.ids import new_id
from mailroom.ops.embedded.valkey import Valkey
from mailroom.progress.reporter import Report
from mailroom.settings import Settings
from mailroom.web.rate_limits.memory import Rate
from mailroom.web.rate_limits.store import LimitStore
from tests.conftest import settings_of
from tests.faults.silent_proxy import SilentProxy
from tests.sink import wait_for


class Pair:
    """Two servers with one password, and an address that leads to one of them, as a virtual IP does."""

    def __init__(self, one: Valkey, other: Valkey, proxy: SilentProxy) -> None:
        self.one, self.other, self.proxy = one, other, proxy
        self.url = one.url.replace(f":{one.port}/", f":{proxy.port}/")

    def fail_over(self) -> None:
        """Connections to the old primary stay open: nobody ends them."""
        with redis.Redis.from_url(self.one.url) as client:
            client.config_set("masterauth", self.other.password)
            client.replicaof("127.0.0.1", str(self.other.port))
        self.proxy.server_port = self.other.port

    def stored(self) -> list[bytes]:
        """The keys of the new primary."""
        with redis.Redis.from_url(self.other.url) as client:
            found: list[bytes] = client.keys()  # type: ignore[assignment]
        return found


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    one, other = (Valkey(tmp_path / name, password="the-same-password") for name in ("one", "other"))
    with one.running(), other.running(), SilentProxy("127.0.0.1", one.port) as proxy:
        yield Pair(one, other, proxy)


@pytest.fixture
def settings(environment: dict[str, str], pair: Pair) -> Settings:
    return settings_of(environment, redis_url=pair.url)


@pytest.fixture
async def limits(settings: Settings) -> AsyncIterator[LimitStore]:
    store = LimitStore(settings.limits, patience=5)
    yield store
    await store.close()


async def test_limits_are_counted_by_the_new_primary(pair: Pair, limits: LimitStore) -> None:
    rate = Rate("somebody", 10, 60)
    await limits.take([rate])
    pair.fail_over()
    await limits.take([rate])
    assert any(b"somebody" in key for key in pair.stored())


def test_results_are_stored_by_the_new_primary(pair: Pair, settings: Settings) -> None:
    write = ResultWriter(create_celery(settings, worker=True))
    task: UUID = new_id()
    write([Report(str(task), "running", {})])
    pair.fail_over()
    with pytest.raises(ReadOnlyError):
        write([Report(str(task), "running", {})])
    write([Report(str(task), "running", {})])
    assert any(str(task).encode() in key for key in pair.stored())


def test_messages_go_to_the_new_primary(pair: Pair, settings: Settings) -> None:
    publisher = Publisher(settings)
    publisher.publish_mails([new_id()])
    wait_for(lambda: not len(publisher))
    pair.fail_over()
    publisher.publish_mails([new_id()])
    wait_for(lambda: not len(publisher))
    publisher.publish_mails([new_id()])
    wait_for(lambda: TRANSACTIONAL.encode() in pair.stored())
    publisher.close()
