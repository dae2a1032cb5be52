"""Metrics against a real database."""

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from mailroom.bootstrap.services import create_services
from mailroom.kit.ids import new_id
from mailroom.ops.observability import metrics
from mailroom.settings import Settings
from tests.conftest import settings_of


async def scrape(settings: Settings) -> dict[tuple[str, ...], float]:
    services = create_services(settings, lambda _ids: None, lambda *_: None, name="test")
    try:
        page = await metrics.render(services)
    finally:
        await services.database.close()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


async def test_mails_are_counted_by_state_with_backlog_and_recent_attempts(
    settings: Settings, environment: dict[str, str]
) -> None:
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        for state, nudged in (("queued", "now()"), ("retrying", "now()"), ("sent", "null"), ("sent", "null")):
            mail = new_id()
            connection.execute(
                "insert into mails (id, kind, recipient, on_uncertain, state, created_at, nudge_at, expires_at)"
                f" values (%s, 'confirm_sign_up', 'alice@example.org', 'resend', %s, now() - interval '90 s',"
                f" {nudged}, now())",
                (mail, state),
            )
            connection.execute(
                "insert into attempts (mail_id, attempt, worker, outcome, ended_at) values"
                " (%s, 1, 'host:1', %s, now()), (%s, 2, 'host:1', %s, now() - interval '1 hour')",
                (mail, state, mail, state),
            )
    found = await scrape(settings)
    assert found["mailroom_database_up",] == 1
    assert found["mailroom_mails", "sent"] == 2
    assert found["mailroom_mails", "queued"] == 1
    assert found["mailroom_mails", "failed"] == 0
    assert found["mailroom_backlog_mails",] == 2
    assert 90 <= found["mailroom_oldest_waiting_seconds",] < 150
    assert found["mailroom_recent_attempts", "sent", ""] == 2
    assert ("process_resident_memory_bytes",) in found
    assert ("mailroom_watched_tasks",) not in found  # only a web process has them


async def test_an_empty_outbox_has_nothing_waiting(settings: Settings) -> None:
    found = await scrape(settings)
    assert found["mailroom_oldest_waiting_seconds",] == 0
    assert found["mailroom_mails", "queued"] == 0


async def test_a_database_that_is_away_is_a_metric_and_no_error(environment: dict[str, str]) -> None:
    away = settings_of(environment, database_url="postgresql://mailroom:word@127.0.0.1:9/mailroom")
    found = await scrape(away)
    assert found["mailroom_database_up",] == 0
    assert ("mailroom_mails", "queued") not in found
