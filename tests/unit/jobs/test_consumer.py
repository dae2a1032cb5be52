"""The pauses of a worker that tries to reach a broker, however long that is away."""

from itertools import pairwise

import pytest
from kombu.utils import functional

from mailroom.jobs.app import create_celery
from mailroom.jobs.consumer import LONGEST_PAUSE, Consumer
from tests.conftest import settings_of_nowhere

HOUR = 3600.0


class GaveUp(Exception):
    """The hour is over."""


def test_the_pauses_stay_short_and_do_not_end_though_redis_is_away_for_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_of_nowhere()
    app = create_celery(settings, worker=True)
    clock, tries = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    def refuse() -> None:
        tries.append(clock[0])
        if clock[0] > HOUR:
            raise GaveUp
        raise ConnectionRefusedError

    monkeypatch.setattr(functional, "sleep", sleep)
    consumer = Consumer.__new__(Consumer)
    consumer.app, consumer.first_connection_attempt, consumer.broker_connection_retry_attempt = app, False, 0
    connection = app.connection_for_read()
    monkeypatch.setattr(connection, "_connection_factory", refuse)
    with pytest.raises(GaveUp):
        consumer.ensure_connected(connection)
    connection.release()
    assert max(later - earlier for earlier, later in pairwise(tries)) <= 3.0 == LONGEST_PAUSE
