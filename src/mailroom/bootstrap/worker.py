"""Wires a worker: its Celery application, and the runtime in the event loop of each of its processes."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any

from celery import Celery

from mailroom.accounts.retention import AccountRetention
from mailroom.apps.loader import load as load_apps
from mailroom.bootstrap import services as wiring
from mailroom.bootstrap.alerts import create_watch
from mailroom.bootstrap.app_clean_ups import app_clean_ups
from mailroom.desk.alerts.book import forget_old as forget_old_alerts
from mailroom.desk.processes.register import Registration
from mailroom.desk.processes.register import forget_old as forget_old_processes
from mailroom.desk.processes.surroundings import Surroundings
from mailroom.events.log import forget_old
from mailroom.jobs.broker.queue_depth import queue_depth
from mailroom.jobs.intake import Intake
from mailroom.jobs.mail_tasks import MailReports
from mailroom.jobs.publisher import Publisher
from mailroom.jobs.results import ResultWriter
from mailroom.jobs.runtime import Runtime
from mailroom.jobs.sweep import Sweep
from mailroom.jobs.task_leases import TaskLeases
from mailroom.jobs.worker import create
from mailroom.mail.delivery.deliverer import Deliverer
from mailroom.mail.delivery.envelopes import Envelopes
from mailroom.mail.ledger.claims import Ledger
from mailroom.mail.ledger.identity import RestoreGuard
from mailroom.mail.ledger.liveness import Liveness, new_name
from mailroom.mail.ledger.rescuer import Rescuer
from mailroom.mail.ledger.retention import Retention
from mailroom.mail.messages.contents import Contents
from mailroom.mail.messages.retention import MessageRetention
from mailroom.mail.ports import NoSuppressions
from mailroom.mail.rendering.renderer import Renderer
from mailroom.mail.smtp.connection import Timeouts
from mailroom.mail.smtp.pool import Pool
from mailroom.mail.smtp.sign_ins import SignIns
from mailroom.ops.database_witness import RedisWitness
from mailroom.ops.observability.tracing import start_tracing
from mailroom.ops.restored import refusal
from mailroom.ops.startup import exit_on_problems, load_or_exit
from mailroom.progress.reporter import Reporter
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.settings.stop_times import StopTimes
from mailroom.statistics.counters import CounterWriter
from mailroom.statistics.rollup import Rollup
from mailroom.tasks.runs import TaskRuns
from mailroom.webhooks.retention import forget_old_deliveries
from mailroom.webhooks.sender import WebhookSender


def create_worker(settings: Settings | None = None) -> Celery:
    """Return the worker's Celery application. Raises `SettingsError` if an app cannot be loaded.

    If no settings are given, it reads the environment, and ends the program if that cannot be used.
    """
    if settings is None:
        with exit_on_problems():
            return create_worker(load_or_exit())
    return create(
        settings,
        lambda app: create_runtime(settings, app),
        refusal=lambda: _refusal(settings),
        apps=load_apps(settings.mailroom_apps),
    )


def _refusal(settings: Settings) -> str | None:
    with closing(RedisWitness(settings)) as witness:
        return refusal(settings.session_database_url, witness)


def create_runtime(settings: Settings, app: Celery) -> Runtime:
    """Return the runtime of one worker process. Call it in the process's event loop."""
    publisher = Publisher(settings)
    services = wiring.create_services(
        settings,
        publisher.publish_mails,
        publisher.publish_task,
        name="mailroom worker",
        wake_bulk=publisher.wake_bulk,
    )
    traces = start_tracing(settings, "worker")
    worker_name, guard = new_name(), RestoreGuard(services.database, RedisWitness(settings))
    reporter, pool = Reporter(ResultWriter(app)), _pool(settings, services)
    deliverer = Deliverer(
        ledger=Ledger(services.database, worker_name, guard),
        pool=pool,
        envelopes=Envelopes(renderer(services), Contents(services.database), NoSuppressions()),
        progress=MailReports(reporter.put),
        counters=services.counters,
        stop_times=StopTimes.of(settings.stop_seconds),
        spans=traces,
    )
    pool.on_recovery = deliverer.release_deferred

    def depth() -> int | None:
        return queue_depth(publisher.app)

    task_leases = TaskLeases(
        TaskRuns(services.database, services.counters), publisher.publish_task, reporter.put, depth
    )
    return Runtime(
        services=services,
        deliverer=deliverer,
        sweep=_sweep(services, publisher, depth, pool, guard),
        task_leases=task_leases,
        reporter=reporter,
        publisher=publisher,
        liveness=Liveness(services.database, worker_name),
        counters=CounterWriter(services.counters, services.database, worker_name),
        registration=Registration(
            services.database,
            worker_name,
            "worker",
            surroundings=Surroundings(settings),
            facts=partial(_facts, deliverer, task_leases, pool),
            on_wish=Intake(app, deliverer).follow,
        ),
        alerts=create_watch(settings, services.database, services.counters),
        webhooks=WebhookSender(
            services.database,
            wiring.webhook_box(settings),
            services.outbox,
            private=settings.webhook_private_networks,
        ),
        traces=traces,
    )


def _facts(deliverer: Deliverer, task_leases: TaskLeases, pool: Pool) -> dict[str, Any]:
    """Return what a worker says of itself in the register of processes."""
    outage = pool.outage
    return {
        "mails": deliverer.in_hand,
        "tasks": task_leases.in_hand,
        "server": str(pool.server),
        "connections": pool.open_connections,
        "tls": pool.tls_version,
        "server_certificate": pool.certificate_ends,
        "circuit": {"since": outage.since.isoformat(), "reason": outage.result.reason} if outage else None,
    }


def _pool(settings: Settings, services: Services) -> Pool:
    return Pool(
        settings.smtp,
        timeouts=Timeouts(
            settings.smtp_connect_timeout,
            settings.smtp_command_timeout,
            settings.smtp_data_timeout,
            settings.smtp_accept_timeout,
        ),
        hostname=settings.ehlo_name,
        limit=settings.smtp_connections,
        mails_each=settings.smtp_mails_per_connection,
        idle=settings.smtp_idle_seconds,
        sign_ins=SignIns(services.database, settings.smtp, settings.secret_keys[0]),
    )


def renderer(services: Services) -> Renderer:
    """Return what makes the bytes of mails."""
    settings = services.settings
    return Renderer(
        services.mail_kinds,
        mail_from=settings.from_header,
        product=wiring.product_of(settings),
        brand=settings.brand,
        overrides=services.apps.folders("mails"),
    )


def _sweep(
    services: Services,
    publisher: Publisher,
    depth: Callable[[], int | None],
    pool: Pool,
    guard: RestoreGuard,
) -> Sweep:
    settings = services.settings
    bodies, rows = timedelta(days=settings.keep_bodies_days), timedelta(days=settings.keep_rows_days)
    mails = Retention(services.database, bodies=bodies, rows=rows)
    messages = MessageRetention(services.database, bodies=bodies, rows=rows)
    accounts = AccountRetention(
        services.database,
        services.sessions,
        confirmation_hours=settings.confirmation_hours,
        days=settings.sign_up_days,
    )
    return Sweep(
        Rescuer(services.database, guard=guard, counters=services.counters),
        publish_mails=publisher.publish_mails,
        wake_bulk=publisher.wake_bulk,
        queue_depth=depth,
        pool=pool,
        clean_ups=[
            mails.clean_up,
            messages.clean_up,
            accounts.clean_up,
            services.security_log.clean_up,
            services.sign_in_delays.clean_up,
            services.sign_in_steps.clean_up,
            services.provider_sign_ins.clean_up,
            services.withdrawal.clean_up,
            services.exports.clean_up,
            services.erasure.clean_up,
            services.acceptance.clean_up,
            partial(forget_old_deliveries, services.database),
            partial(forget_old, services.database),
            partial(forget_old_processes, services.database),
            partial(forget_old_alerts, services.database),
            Rollup(services.database).run,
            *app_clean_ups(services),
        ],
    )
