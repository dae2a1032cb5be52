"""Wires the shell's commands. Each function imports what its command needs only when the command runs."""

import socket
import sys
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial

import click

from mailroom.cli.commands import shell
from mailroom.kit.memory import give_back_large_blocks, loading
from mailroom.ops.database_start import ask_database
from mailroom.ops.doctor.daemons import Daemons
from mailroom.ops.entrypoints import Entrypoints
from mailroom.ops.startup import cannot_listen
from mailroom.progress.tracker import Tracker
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.settings.urls import redis_place

_IMPORTING = threading.Lock()
"""Held while Celery is imported: the doctor asks in several threads, and one could find a half-loaded module."""


def create_commands() -> click.Group:
    """Return the shell's commands."""
    return shell(
        Entrypoints(
            web=run_web,
            worker=lambda settings, one: run_worker(settings, one=one),
            submission=run_submission,
            services=create_shell_services,
            tracker=open_tracker,
            queue_depth=queue_depth,
            workers=worker_names,
        )
    )


def run_web(settings: Settings, fd: int | None = None) -> int:
    """Serve the web until stopped; return the exit code.

    With WEB_CONCURRENCY above 1 it starts that many processes, which share one listening socket; each of them gets
    the socket's file descriptor as `fd`. Raises `SettingsError` if the port cannot be used.
    """
    listening = _listen(settings, "PORT", settings.port, fd)
    if fd is None:
        settings = ask_database(settings)
    if fd is None and settings.web_concurrency > 1:
        return _share(listening, "web", settings.web_concurrency, settings)
    with loading():  # the parent of several processes serves nothing itself
        from mailroom.bootstrap.web import create_web
        from mailroom.web.parts import part_of
        from mailroom.web.server import server

        app = create_web(settings)
    # A page may hold a websocket open; there is room for as many websockets as for other requests.
    most = 2 * settings.live_sockets_per_address
    counters = part_of(app, Services).counters
    server.run(
        app,
        listening,
        hops=settings.trusted_proxies,
        per_address=most,
        counters=counters,
        site_path=settings.site_path,
        stop_seconds=settings.stop_seconds,
    )
    return 0


def run_submission(settings: Settings, fd: int | None = None) -> int:
    """Serve SMTP submission until stopped; return the exit code.

    With SUBMISSION_PROCESSES above 1 it starts that many, as `run_web` does. Raises `SettingsError`.
    """
    listening = _listen(settings, "SUBMISSION_PORT", settings.submission_port, fd)
    if fd is None:
        settings = ask_database(settings)
    if fd is None and settings.submission_processes > 1:
        return _share(listening, "submission", settings.submission_processes, settings)
    give_back_large_blocks()
    with loading():  # the parent of several processes serves nothing itself
        from mailroom.bootstrap import submission

    return submission.run_submission(settings, listening)


def _listen(settings: Settings, name: str, port: int, fd: int | None) -> socket.socket:
    from mailroom.ops.processes.listening import listen

    try:
        return listen(settings.host, port) if fd is None else socket.socket(fileno=fd)
    except OSError as error:
        raise cannot_listen(settings, name, port, error) from None


def _share(listening: socket.socket, name: str, processes: int, settings: Settings) -> int:
    """Keep so many processes of this command, all on one socket; return the exit code."""
    from mailroom.ops.processes.fleet import Fleet

    with listening:
        command = [sys.executable, "-m", "mailroom", name, "--fd", str(listening.fileno())]
        fds = [listening.fileno()]
        return Fleet(name, command, processes, pass_fds=fds, stop_seconds=settings.stop_seconds).run()


def run_worker(settings: Settings, *, one: bool = False) -> int:
    """Run WORKER_PROCESSES workers until stopped, or with `one` a single one, here; return the exit code."""
    from mailroom.ops.processes.fleet import Fleet

    if not one:
        settings = ask_database(settings)
    if not one and settings.worker_processes > 1:
        command = [sys.executable, "-m", "mailroom", "worker", "--one"]
        return Fleet("worker", command, settings.worker_processes, stop_seconds=settings.stop_seconds).run()
    if settings.mailroom_embedded:  # `mailroom up` may well run as root; elsewhere Celery's warning is shown
        from celery.platforms import SecurityWarning

        warnings.simplefilter("ignore", SecurityWarning)
    with loading():  # the parent of several processes needs no Celery
        from mailroom.bootstrap.worker import create_worker
        from mailroom.jobs.worker import work

        app = create_worker(settings)
    return work(app, threads=settings.worker_threads, log_level=settings.log_level)


def create_shell_services(settings: Settings) -> Services:
    """Return the services for one command. The caller closes their database."""
    from mailroom.bootstrap.services import create_services
    from mailroom.jobs.publisher import Publisher

    publisher = Publisher(settings)
    return create_services(
        settings,
        publisher.publish_mails,
        publisher.publish_task,
        name="mailroom shell",
        wake_bulk=publisher.wake_bulk,
    )


@asynccontextmanager
async def open_tracker(services: Services) -> AsyncIterator[Tracker]:
    """Run a tracker over the database of these services for the length of the block."""
    from mailroom.bootstrap.services import create_tracker

    tracker, results = create_tracker(services.settings, services.database)
    tracker.start()
    try:
        yield tracker
    finally:
        await tracker.stop()
        await results.close()


def queue_depth(settings: Settings) -> int | None:
    """Return how many messages wait in the queue, or None if the broker does not answer. Blocks."""
    with _IMPORTING:
        from mailroom.jobs.broker.queue_depth import queue_depth as ask
        from mailroom.jobs.publisher import Publisher

    with closing(Publisher(settings)) as publisher:
        return ask(publisher.app)


def worker_names(settings: Settings) -> dict[str, list[str]]:
    """Return the workers that answer within 1.5 seconds, by the broker (``host:port/number``) they listen at.

    All brokers are asked at the same time; one that is away is left out. Raises an error if all are away.
    """
    brokers = settings.broker.split(";")
    with Daemons() as threads:
        answers = dict(zip(map(redis_place, brokers), threads.map(partial(_ask, settings), brokers), strict=True))
    found = {place: names for place, names in answers.items() if not isinstance(names, Exception)}
    if not found:
        raise next(error for error in answers.values() if isinstance(error, Exception))
    return found


def _ask(settings: Settings, broker: str) -> list[str] | Exception:
    with _IMPORTING:
        from mailroom.jobs.app import create_celery

    alone = settings.model_copy(update={"broker_url": broker})
    try:
        answers = create_celery(alone, worker=False).control.ping(timeout=1.5)
    except Exception as error:
        return error
    return sorted(name for answer in answers for name in answer)
