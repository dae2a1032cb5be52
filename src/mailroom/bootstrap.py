"""The composition root: everything is wired here, once for each kind of process. Tests wire differently.

Each function imports only the edge it opens, so that a worker does not carry the web along, nor the shell
either of them.
"""

import socket
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from typing import TYPE_CHECKING

from mailroom.kit.database import Database
from mailroom.mail.kinds import Kinds, Notify
from mailroom.ops.startup import settings_of_a_door
from mailroom.settings import Settings
from mailroom.tasks.service import Begin, TaskService
from mailroom.tasks.tickets import Tickets

if TYPE_CHECKING:
    import click
    from celery import Celery
    from quart import Quart

    from mailroom.accounts.tokens import Tokens
    from mailroom.jobs.results import ResultReader
    from mailroom.jobs.runtime import Runtime
    from mailroom.progress.tracker import Tracker
    from mailroom.services import Services


def services(
    settings: Settings,
    notify: Notify,
    begin: Begin,
    *,
    name: str,
    tracker: "Tracker | None" = None,
    database: Database | None = None,
) -> "Services":
    """Wire the rooms below the edges."""
    from mailroom.accounts.authentication import Authentication
    from mailroom.accounts.confirmation import Confirmation
    from mailroom.accounts.exports import Exports
    from mailroom.accounts.operators import Operators
    from mailroom.accounts.password_reset import PasswordReset
    from mailroom.accounts.passwords import Passwords
    from mailroom.accounts.registration import Registration
    from mailroom.accounts.sessions import Sessions
    from mailroom.mail.administration import MailAdministration
    from mailroom.mail.outbox import Outbox
    from mailroom.services import Services

    database = database or Database(settings.database_url, connections=settings.database_connections, name=name)
    tickets, tokens = Tickets(), _tokens(settings)
    known = kinds(settings, tokens)
    outbox, mail_administration = Outbox(known, tickets, notify), MailAdministration(known, notify)
    sessions, task_service = Sessions(database), TaskService(begin)
    passwords, site = Passwords(), settings.public_host.partition(":")[0].split(".")
    return Services(
        settings=settings,
        database=database,
        registration=Registration(database, outbox, tickets, passwords, sessions, site=site),
        confirmation=Confirmation(
            database, tickets, tokens, passwords, sessions, hours=settings.confirmation_hours
        ),
        authentication=Authentication(database, tickets, passwords, sessions),
        password_reset=PasswordReset(
            database, outbox, tickets, tokens=tokens, passwords=passwords, sessions=sessions, site=site
        ),
        sessions=sessions,
        operators=Operators(database),
        outbox=outbox,
        mail_administration=mail_administration,
        tickets=tickets,
        task_service=task_service,
        exports=Exports(database, task_service),
        tracker=tracker,
    )


def kinds(settings: Settings, tokens: "Tokens") -> Kinds:
    """Return every kind of mail there is."""
    from mailroom.accounts import mails as accounts_mails
    from mailroom.ops import mails as ops_mails

    return Kinds([*accounts_mails.kinds(tokens, settings), *ops_mails.kinds(settings)])


def _tokens(settings: Settings) -> "Tokens":
    from mailroom.accounts.tokens import Tokens

    return Tokens(settings.secret_keys)


def web(settings: Settings | None = None) -> "Quart":
    """Return the web application, with a poller of its own."""
    from mailroom.jobs.publisher import Publisher
    from mailroom.web.app import create_app
    from mailroom.web.live.endpoint import serve_live

    settings = settings or settings_of_a_door()
    database = Database(settings.database_url, connections=settings.database_connections, name="mailroom web")
    queue = Publisher(settings)
    tracker, results = _poller(settings, database)
    app = create_app(
        services(settings, queue, queue.begin, name="mailroom web", tracker=tracker, database=database)
    )
    serve_live(app)

    async def start() -> None:
        tracker.start()

    async def close() -> None:
        await tracker.stop()
        await results.close()
        queue.close()
        await database.close()

    app.before_serving(start)
    app.after_serving(close)
    return app


def worker(settings: Settings | None = None) -> "Celery":
    """Return the worker's Celery application."""
    from mailroom.jobs.worker import create

    settings = settings or settings_of_a_door()
    return create(settings, lambda app: runtime(settings, app))


def runtime(settings: Settings, app: "Celery") -> "Runtime":
    """Wire what lives in one worker process; called in its event loop."""
    from mailroom.accounts.retention import AccountRetention
    from mailroom.jobs.mail_tasks import reports
    from mailroom.jobs.publisher import Publisher
    from mailroom.jobs.results import ResultWriter
    from mailroom.jobs.runtime import Runtime
    from mailroom.jobs.sweep import Sweep
    from mailroom.jobs.task_leases import TaskLeases
    from mailroom.mail.delivery.deliverer import Deliverer
    from mailroom.mail.ledger.claims import Ledger
    from mailroom.mail.ledger.liveness import Liveness, new_name
    from mailroom.mail.ledger.rescuer import Rescuer
    from mailroom.mail.ledger.retention import Retention
    from mailroom.mail.rendering.renderer import Renderer
    from mailroom.mail.smtp.connection import Timeouts
    from mailroom.mail.smtp.pool import Pool
    from mailroom.progress.reporter import Reporter
    from mailroom.tasks.runs import TaskRuns

    queue = Publisher(settings)
    have = services(settings, queue, queue.begin, name="mailroom worker")
    worker_name = new_name()
    ledger, overdue = Ledger(have.database, worker_name), Rescuer(have.database)
    reporter = Reporter(ResultWriter(app))
    pool = Pool(
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
    )
    renderer = Renderer(
        kinds(settings, _tokens(settings)),
        mail_from=settings.mail_from,
        product={"public_url": settings.public_url},
    )
    delivery = Deliverer(ledger=ledger, pool=pool, renderer=renderer, show=reports(reporter.put))
    pool.on_recovery = delivery.on_recovery

    retention = Retention(
        have.database,
        bodies=timedelta(days=settings.keep_bodies_days),
        rows=timedelta(days=settings.keep_rows_days),
    )

    accounts = AccountRetention(have.database, have.sessions, confirmation_hours=settings.confirmation_hours)
    sweep = Sweep(overdue, queue, pool, [retention.clean_up, accounts.clean_up, have.exports.clean_up])
    holding = TaskLeases(TaskRuns(have.database), queue.begin, reporter.put)
    return Runtime(have, delivery, sweep, holding, reporter, queue, Liveness(have.database, worker_name))


def serve_web(settings: Settings, fd: int | None = None) -> int:
    """Serve the web until stopped: in this process, or WEB_CONCURRENCY of them on the one socket (then `fd`)."""
    from mailroom.ops.processes.fleet import Fleet
    from mailroom.web.server import server as serving

    if fd is None and settings.web_concurrency > 1:
        with serving.listen(settings) as listening:
            command = [sys.executable, "-m", "mailroom", "web", "--fd", str(listening.fileno())]
            return Fleet("web", command, settings.web_concurrency, pass_fds=[listening.fileno()]).run()
    listening = serving.listen(settings) if fd is None else socket.socket(fileno=fd)
    serving.run(web(settings), listening, hops=settings.trusted_proxies)
    return 0


def run_worker(settings: Settings, *, one: bool = False) -> int:
    """Run WORKER_PROCESSES workers (or just `one`, in this process) until stopped."""
    from mailroom.ops.processes.fleet import Fleet

    if not one and settings.worker_processes > 1:
        command = [sys.executable, "-m", "mailroom", "worker", "--one"]
        return Fleet("worker", command, settings.worker_processes).run()
    if settings.mailroom_embedded:  # on one's own machine root is no news; elsewhere Celery's warning stands
        from celery.platforms import SecurityWarning

        warnings.simplefilter("ignore", SecurityWarning)
    from mailroom.jobs.worker import work  # not in the fleet's own process: it needs no Celery

    return work(worker(settings), threads=settings.worker_threads, log_level=settings.log_level)


def shell(settings: Settings) -> "Services":
    """Wire the services for one command."""
    from mailroom.jobs.publisher import Publisher

    queue = Publisher(settings)
    return services(settings, queue, queue.begin, name="mailroom shell")


def commands() -> "click.Group":
    """Return the shell's commands; each opens its edge only when it runs."""
    from mailroom.cli.commands import shell as group
    from mailroom.ops.entrypoints import Entrypoints

    return group(
        Entrypoints(
            web=serve_web,
            worker=lambda settings, one: run_worker(settings, one=one),
            services=shell,
            tracker=_tracker,
            queue_depth=_queue_depth,
            workers=_workers,
        )
    )


def _poller(settings: Settings, database: Database) -> "tuple[Tracker, ResultReader]":
    from mailroom.jobs.results import ResultReader
    from mailroom.mail.views import MailRows
    from mailroom.progress.tracker import Tracker

    results = ResultReader(settings)
    return Tracker(results, MailRows(database)), results


@asynccontextmanager
async def _tracker(have: "Services") -> "AsyncIterator[Tracker]":
    tracker, results = _poller(have.settings, have.database)
    tracker.start()
    try:
        yield tracker
    finally:
        await tracker.stop()
        await results.close()


def _queue_depth(settings: Settings) -> int | None:
    from mailroom.jobs.publisher import Publisher

    with closing(Publisher(settings)) as queue:
        return queue.depth()


def _workers(settings: Settings) -> list[str]:
    from mailroom.jobs.app import create_celery

    answers = create_celery(settings, worker=False).control.ping(timeout=1.5)
    return sorted(name for answer in answers for name in answer)
