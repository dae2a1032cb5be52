"""Metrics against a real database, and what is made of them: the rules and the dashboard under deploy/."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import yaml
from prometheus_client.parser import text_string_to_metric_families

from mailroom.bootstrap.services import create_services
from mailroom.kit.ids import new_id
from mailroom.ops.observability import metrics
from mailroom.services import Services
from mailroom.settings import Settings
from tests.conftest import ROOT, settings_of

Samples = dict[tuple[str, ...], float]


def services_of(settings: Settings) -> Services:
    return create_services(settings, lambda _ids: None, lambda *_: None, name="test")


async def scrape(settings: Settings) -> Samples:
    services = services_of(settings)
    try:
        for label, seconds in (("2xx", 0.02), ("2xx", 3.0)):
            services.counters.observe("http", seconds, label)
        for outcome, number in (("sent", 3), ("retrying", 1)):
            services.counters.add("attempts", outcome, number)
        services.counters.add("ended", "sent", 3)
        services.counters.add("created", "bulk", 5)
        services.counters.add("replies", "2xx", 3)
        services.counters.observe("queue_wait", 0.5, "transactional")
        services.counters.observe("to_250", 0.7, "transactional")
        if settings.database_url.rpartition("@")[2].startswith("127.0.0.1:9/"):
            return samples_of((await metrics.render(services)).decode())
        await services.counters.write(services.database, "test")
        return samples_of((await metrics.render(services)).decode())
    finally:
        await services.database.close()


def samples_of(page: str) -> Samples:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


async def test_what_waits_and_what_was_counted(settings: Settings, environment: dict[str, str]) -> None:
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        for state, nudged in (("queued", "now()"), ("retrying", "now()"), ("sent", "null"), ("sent", "null")):
            connection.execute(
                "insert into mails (id, kind, recipient, on_uncertain, state, created_at, changed_at, nudge_at,"
                " expires_at) values (%s, 'plain', 'a@example.org', 'resend', %s, now() - interval '90 s',"
                f" now() - interval '90 s', {nudged}, now())",
                (new_id(), state),
            )
        connection.execute(
            "insert into processes (name, role, host, pid, version, facts)"
            " values ('w:1#a', 'web', 'w', 1, 'v', '{\"redis\": true}')"
        )
    found = await scrape(settings)
    assert found["mailroom_database_up",] == 1
    assert found["mailroom_redis_up",] == 1
    assert found["mailroom_workers_alive",] == 0
    assert found["mailroom_mails", "queued"] == 1
    assert found["mailroom_mails", "held"] == 0
    assert ("mailroom_mails", "sent") not in found, "nobody counts ten million mails for a scrape"
    assert found["mailroom_backlog_mails",] == 2
    assert found["mailroom_queue_mails", "transactional"] == 1
    assert 90 <= found["mailroom_queue_oldest_seconds", "transactional"] < 600
    assert found["mailroom_attempts_total", "sent"] == 3
    assert found["mailroom_attempts_total", "retrying"] == 1
    assert found["mailroom_mails_created_total", "bulk"] == 5
    assert found["mailroom_tasks", "queued"] == 0
    assert found["mailroom_alert_firing", "no_worker"] == 0
    assert found["mailroom_http_request_seconds_count", "2xx"] == 2
    assert 3.0 <= found["mailroom_http_request_seconds_sum", "2xx"] < 3.1
    below = [value for (name, *labels), value in found.items() if name == "mailroom_http_request_seconds_bucket"]
    assert below == sorted(below) and below[-1] == 2
    assert 1 in below, "one took 20 ms, one three seconds"
    assert ("process_resident_memory_bytes",) in found
    assert ("mailroom_watched_tasks",) not in found  # only a web process has them


async def test_a_database_that_is_away_is_a_metric_and_no_error(environment: dict[str, str]) -> None:
    away = settings_of(environment, database_url="postgresql://mailroom:word@127.0.0.1:9/mailroom")
    found = await scrape(away)
    assert found["mailroom_database_up",] == 0
    assert ("mailroom_mails", "queued") not in found


def metrics_in(expression: str) -> set[str]:
    """Return the names of metrics that a query of Prometheus speaks of."""
    return set(re.findall(r"\b(?:mailroom|process)_\w+", expression))


def expressions(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [value for key, value in part.items() if key == "expr"]
        return own + [found for value in part.values() for found in expressions(value)]
    if isinstance(part, list):
        return [found for value in part for found in expressions(value)]
    return []


async def test_the_dashboard_and_the_rules_ask_for_metrics_that_there_are(settings: Settings) -> None:
    known = {name for name, *_ in await scrape(settings)} | {"mailroom_redis_up", "mailroom_watched_tasks"}
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "mailroom.json").read_text())
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())
    for document, least in ((dashboard, 10), (rules, 7)):
        asked = expressions(document)
        assert len(asked) >= least
        assert set().union(*map(metrics_in, asked)) - known == set()
        assert all(metrics_in(expression) for expression in asked)
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["targets"] for panel in panels)
    for rule in rules["groups"][0]["rules"]:
        assert rule["alert"] and rule["for"] and rule["annotations"]["summary"]


def test_the_operating_page_names_every_metric_of_mailroom(tmp_path: Path) -> None:
    assert tmp_path
    source = (ROOT / "src" / "mailroom" / "ops" / "observability" / "metrics.py").read_text()
    page = (ROOT / "docs" / "OPERATING.md").read_text()
    for name in re.findall(r'"(mailroom_\w+)"', source):
        assert name in page, name
