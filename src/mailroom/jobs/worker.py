"""A worker: the Celery app with its tasks, and the loop of each of its processes."""

import inspect
from collections.abc import Callable
from typing import Any

from celery import Celery, Task, signals
from celery.exceptions import Ignore

from mailroom.jobs import mail_jobs
from mailroom.jobs.app import configured
from mailroom.jobs.loop import WorkerLoop
from mailroom.jobs.runtime import Runtime
from mailroom.jobs.stop_line import StopLine
from mailroom.progress.reporting import running
from mailroom.services import Services
from mailroom.settings import Settings


class MailroomTask(Task):  # type: ignore[misc]  # Celery ships no types
    """Base of background tasks: live progress by `report()`, the services at hand, coroutines welcome.

    A task may be an ordinary function or a coroutine function; the latter runs in the process's event loop,
    where the services live.
    """

    abstract = True
    loop: WorkerLoop[Runtime]

    @property
    def services(self) -> Services:
        """The application's services, as a web request has them; use them in coroutine tasks."""
        return self.loop.start().services

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task with its reports going to its own result."""
        reporter = self.loop.start().reporter
        task_id = str(self.request.id)
        try:
            with running(task_id, reporter.put):
                result = super().__call__(*args, **kwargs)
                if inspect.iscoroutine(result):
                    coroutine = result
                    result = self.loop.run(lambda _living: coroutine)
        except Ignore:
            raise  # Celery stores nothing: what was reported last is what stands, and has to get there
        except BaseException:
            reporter.forget(task_id)
            raise
        reporter.forget(task_id)
        return result


def create(settings: Settings, build: Callable[[Celery], Runtime]) -> Celery:
    """Return the worker's Celery app. Nothing connects until a worker process starts or a task runs."""
    app = configured(settings, worker=True, current=True)
    loop: WorkerLoop[Runtime] = WorkerLoop(lambda: build(app))
    app.Task = type("MailroomTask", (MailroomTask,), {"abstract": True, "loop": loop})
    mail_jobs.register(app, loop)
    _follow_the_worker(app, loop)
    return app


def _follow_the_worker(app: Celery, loop: WorkerLoop[Runtime]) -> None:
    """Start and stop the loop with the process that runs tasks: the worker itself, or each prefork child."""
    line = StopLine()

    def open_line(**_: object) -> None:
        line.open()

    def start_child(**_: object) -> None:
        loop.start()
        line.listen(loop.stop)

    def start_unless_forking(sender: Any, **_: object) -> None:
        if "prefork" not in type(sender.pool).__module__:
            loop.start()

    def stop(**_: object) -> None:
        loop.stop()
        line.ring()

    def close(**_: object) -> None:
        loop.close()

    # The app keeps these alive: signals hold their receivers weakly.
    app.receivers = (open_line, start_child, start_unless_forking, stop, close)
    signals.worker_init.connect(open_line)
    signals.worker_process_init.connect(start_child)
    signals.worker_ready.connect(start_unless_forking)
    signals.worker_shutting_down.connect(stop)
    signals.worker_process_shutdown.connect(close)
    signals.worker_shutdown.connect(close)
