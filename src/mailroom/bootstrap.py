"""The composition root: everything is wired here, once for each kind of process. Tests wire differently.

Each function imports only the edge it opens, so that a worker does not carry the web along, nor the shell
either of them.
"""

import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mailroom.kit.database import Database
from mailroom.mail.interfaces import Kinds, Nudge
from mailroom.progress.tickets import Tickets
from mailroom.settings import Settings, load

if TYPE_CHECKING:
    from celery import Celery
    from quart import Quart

    from mailroom.accounts.tokens import Tokens
    from mailroom.jobs.runtime import Runtime
    from mailroom.progress.watching import Watching
    from mailroom.services import Services


def services(
    settings: Settings,
    nudge: Nudge,
    *,
    name: str,
    watching: "Watching | None" = None,
    database: Database | None = None,
) -> "Services":
    """Wire the rooms below the edges."""
    from mailroom.accounts.passwords import Passwords
    from mailroom.accounts.service import Accounts
    from mailroom.accounts.sessions import Sessions
    from mailroom.mail.mailbox import Mailbox
    from mailroom.mail.outbox import Outbox
    from mailroom.services import Services

    database = database or Database(settings.database_url, connections=settings.database_connections, name=name)
    tickets, tokens = Tickets(), _tokens(settings)
    outbox = Outbox(kinds(settings, tokens), tickets, nudge)
    sessions = Sessions(database)
    accounts = Accounts(
        database=database,
        outbox=outbox,
        tickets=tickets,
        tokens=tokens,
        passwords=Passwords(),
        sessions=sessions,
        settings=settings,
    )
    return Services(settings, database, accounts, sessions, outbox, Mailbox(nudge), tickets, watching)


def kinds(settings: Settings, tokens: "Tokens") -> Kinds:
    """Return every kind of mail there is."""
    from mailroom.accounts import mails

    return Kinds(mails.kinds(tokens, settings))


def _tokens(settings: Settings) -> "Tokens":
    from mailroom.accounts.tokens import Tokens

    return Tokens(settings.secret_keys)


def web(settings: Settings | None = None) -> "Quart":
    """Return the web application, with a poller of its own."""
    from mailroom.jobs.queue import Queue
    from mailroom.jobs.results import ResultReader
    from mailroom.mail.snapshots import MailRows
    from mailroom.progress.watching import Watching
    from mailroom.web.app import create_app

    settings = settings or load()
    database = Database(settings.database_url, connections=settings.database_connections, name="mailroom web")
    queue, results = Queue(settings), ResultReader(settings)
    watching = Watching(results, MailRows(database))
    app = create_app(services(settings, queue, name="mailroom web", watching=watching, database=database))

    async def close() -> None:
        await watching.stop()
        await results.close()
        queue.close()
        await database.close()

    app.before_serving(watching.start)
    app.after_serving(close)
    return app


def worker(settings: Settings | None = None) -> "Celery":
    """Return the worker's Celery application."""
    from mailroom.jobs.worker import create

    settings = settings or load()
    return create(settings, lambda app: runtime(settings, app))


def runtime(settings: Settings, app: "Celery") -> "Runtime":
    """Wire what lives in one worker process; called in its event loop."""
    from mailroom.jobs.mail_jobs import reports
    from mailroom.jobs.queue import Queue
    from mailroom.jobs.results import ResultWriter
    from mailroom.jobs.runtime import Runtime
    from mailroom.jobs.sweep import Sweep
    from mailroom.mail.delivery import Delivery
    from mailroom.mail.ledger import Ledger
    from mailroom.mail.overdue import Overdue
    from mailroom.mail.pool import Pool
    from mailroom.mail.rendering import Renderer
    from mailroom.mail.smtp import Timeouts
    from mailroom.progress.reporting import Reporter

    queue = Queue(settings)
    have = services(settings, queue, name="mailroom worker")
    ledger, overdue = Ledger(have.database, f"{socket.gethostname()}:{os.getpid()}"), Overdue(have.database)
    reporter = Reporter(ResultWriter(app))
    pool = Pool(
        settings.smtp,
        timeouts=Timeouts(
            settings.smtp_connect_timeout,
            settings.smtp_command_timeout,
            settings.smtp_data_timeout,
            settings.smtp_accept_timeout,
        ),
        hostname=urlsplit(settings.public_url).hostname or "localhost",
        limit=settings.smtp_connections,
        mails_each=settings.smtp_mails_per_connection,
        idle=settings.smtp_idle_seconds,
    )
    renderer = Renderer(
        kinds(settings, _tokens(settings)),
        mail_from=settings.mail_from,
        product={"public_url": settings.public_url},
    )
    delivery = Delivery(ledger=ledger, pool=pool, renderer=renderer, show=reports(reporter.put))
    pool.on_recovery = delivery.on_recovery

    async def drop_bodies() -> None:
        await overdue.drop_bodies(days=settings.keep_bodies_days)

    async def clean_up_accounts() -> None:
        async with have.database.begin() as work:
            await have.accounts.clean_up(work)

    sweep = Sweep(overdue, queue, pool, [drop_bodies, clean_up_accounts])
    return Runtime(have, delivery, sweep, reporter, queue)


def shell(settings: Settings) -> "Services":
    """Wire the services for one command."""
    from mailroom.jobs.queue import Queue

    return services(settings, Queue(settings), name="mailroom shell")
