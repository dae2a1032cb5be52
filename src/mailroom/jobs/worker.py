"""A worker: the Celery app with its tasks, and the loop of each of its processes.

Two places work around Celery. `ThreadPool.terminate_job`, which Celery calls on SIGQUIT, does nothing here:
Celery's own raises an error, since threads cannot be terminated, and the worker would go on. `app.Worker` is
started without Celery's command line, which costs each process 10 MB and a tenth of its start.

Check at an upgrade of Celery: what it does on SIGTERM and SIGQUIT (`tests/integration/jobs/test_celery.py`), the
arguments of `WorkController.setup_defaults`, and the signals that start and stop the loop.
"""

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from celery import Celery, signals
from celery.concurrency.thread import TaskPool as ThreadPool
from kombu.transport import redis

from mailroom.apps.installed import Apps
from mailroom.jobs import app_tasks, desk_tasks, export_tasks, mail_tasks
from mailroom.jobs.app import create_celery
from mailroom.jobs.broker.channel import Channel
from mailroom.jobs.loop import WorkerLoop
from mailroom.jobs.runtime import Runtime
from mailroom.jobs.shutdown_pipe import ShutdownPipe
from mailroom.jobs.task import MailroomTask
from mailroom.kit.stopping import exit_after
from mailroom.settings import Settings
from mailroom.settings.stop_times import StopTimes

MAY_NOT_START = 2
"""Exit code if somebody has to do something before a worker may start."""


def create(
    settings: Settings,
    build: Callable[[Celery], Runtime],
    *,
    refusal: Callable[[], str | None] = lambda: None,
    apps: Apps | None = None,
) -> Celery:
    """Return the worker's Celery app. Nothing connects until a worker process starts or a task runs.

    If `refusal` says why no worker may start, a worker prints that and ends with exit code 2. It runs the
    tasks of `apps`, too. Raises `SettingsError` if one of these cannot be imported.
    """
    app = create_celery(settings, worker=True, current=True)
    times = StopTimes.of(settings.stop_seconds)
    loop: WorkerLoop[Runtime] = WorkerLoop(lambda: build(app), times)
    app.Task = type("MailroomTask", (MailroomTask,), {"abstract": True, "loop": loop})
    mail_tasks.register(app, loop)
    export_tasks.register(app, apps or Apps())
    desk_tasks.register(app)
    app_tasks.register(app, apps or Apps())
    _refuse_to_start(app, refusal)
    _follow_the_worker(app, loop, times)
    # On SIGQUIT Celery terminates running tasks. Threads cannot be terminated: it would raise, and not exit.
    ThreadPool.terminate_job = _terminate_nothing
    redis.Transport.Channel = Channel
    return app


def work(app: Celery, *, threads: int, log_level: str) -> int:
    """Work in this process until stopped; return its exit status.

    As `celery worker` does, but without its command line, which costs each process 10 MB and a tenth of its start.
    """
    celery_worker = app.Worker(
        hostname=f"mailroom-{os.getpid()}@{socket.gethostname()}",
        pool_cls="threads",
        concurrency=threads,
        loglevel=log_level,
        quiet=True,
        # The rows and the advisory lock are all that workers need to agree on.
        without_gossip=True,
        without_mingle=True,
    )
    celery_worker.start()
    return int(celery_worker.exitcode or 0)


def _terminate_nothing(_pool: object, _pid: int, _signal: int | None = None) -> None:
    """Terminate no thread: it ends by itself once its mail is given back."""


def _freeze_garbage_collector() -> None:
    """Let Python's garbage collector skip all objects made so far: scanning them stops all threads for 80 ms."""
    gc.collect()
    gc.freeze()


def _refuse_to_start(app: Celery, refusal: Callable[[], str | None]) -> None:
    """Have a worker ask `refusal` before it starts its pool."""

    def refuse(**_: object) -> None:
        if words := refusal():
            sys.stderr.write(f"{words}\n")
            raise SystemExit(MAY_NOT_START)  # no Exception, which Celery's signals would only log

    app.refuse = refuse  # signals hold their receivers weakly
    signals.worker_init.connect(refuse)


def _follow_the_worker(app: Celery, loop: WorkerLoop[Runtime], times: StopTimes) -> None:
    """Start and stop the loop with the process that runs tasks: the worker itself, or each prefork child.

    Celery waits for its tasks without limit. A worker ends in time all the same: mails are given back or recorded
    by then, and a task that still runs is recorded as lost.
    """
    pipe = ShutdownPipe()

    def open_pipe(**_: object) -> None:
        pipe.open()

    def start_child(**_: object) -> None:
        loop.start()
        _freeze_garbage_collector()
        pipe.listen(loop.stop)

    def start_unless_forking(sender: Any, **_: object) -> None:
        if "prefork" not in type(sender.pool).__module__:
            loop.start()
            _freeze_garbage_collector()

    def stop(**_: object) -> None:
        loop.stop()
        pipe.signal()
        exit_after(times.recorded, loop.close)

    def stop_on_quit(**_: object) -> None:
        # Celery signals this shutdown only after it has waited for the tasks, which wait for the signal. And it
        # does not know of mails that went straight into the loop.
        then = signal.getsignal(signal.SIGQUIT)
        if not callable(then) or threading.current_thread() is not threading.main_thread():
            return

        def quit_now(number: int, frame: FrameType | None) -> None:
            stop()
            then(number, frame)
            loop.close()

        signal.signal(signal.SIGQUIT, quit_now)

    def close(**_: object) -> None:
        loop.close()

    # The app keeps these alive: signals hold their receivers weakly.
    app.receivers = (open_pipe, start_child, start_unless_forking, stop_on_quit, stop, close)
    signals.worker_init.connect(open_pipe)
    signals.worker_process_init.connect(start_child)
    signals.worker_ready.connect(start_unless_forking)
    signals.worker_ready.connect(stop_on_quit)
    signals.worker_shutting_down.connect(stop)
    signals.worker_process_shutdown.connect(close)
    signals.worker_shutdown.connect(close)
