"""A worker with an empty task, for `benchmarks.groups`: `python -m benchmarks.group_tasks`."""

import sys

from mailroom.jobs.worker import work
from mailroom.settings import load
from mailroom.worker import app

EMPTY = "benchmarks.empty"


@app.task(name=EMPTY)
def empty() -> None:
    """Do nothing."""


if __name__ == "__main__":
    settings = load()
    sys.exit(work(app, threads=settings.worker_threads, log_level=settings.log_level))
