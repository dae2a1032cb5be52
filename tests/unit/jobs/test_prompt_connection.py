"""A worker finds a broker that is back within seconds, also after hours."""

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from mailroom.jobs.broker.prompt_connection import PromptConnection


def test_a_broker_that_is_away_is_tried_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _seconds: None)
    app = Celery(broker="redis://127.0.0.1:9/0")
    app.amqp.Connection = PromptConnection
    waits: list[float] = []
    with app.connection_for_read() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda _error, wait: waits.append(wait), 8)  # as Celery's consumer calls it
    assert waits == [1, 2, 3, 4, 4, 4, 4, 4]
    app.close()
