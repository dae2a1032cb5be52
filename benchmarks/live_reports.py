"""A worker's pen: `report()` for many tasks, as `mailroom worker` stores it; the words are the time."""

import sys
import time

from mailroom.jobs.app import create_celery
from mailroom.jobs.results import ResultWriter
from mailroom.progress.reporter import Reporter
from mailroom.progress.reports import CurrentTask, as_current_task, report
from mailroom.settings import load


def main() -> None:
    """Read lines `<seconds> <reports a second> <task> <task> …`; report on the tasks in turn; say "done"."""
    app = create_celery(load(), worker=True)
    reporter = Reporter(ResultWriter(app))
    known: dict[str, CurrentTask] = {}
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, rate, *tasks = line.split()
        began, count = time.monotonic(), 0
        while (now := time.monotonic()) < began + float(seconds):
            while count < (now - began) * float(rate):
                task = tasks[count % len(tasks)]
                here = known.setdefault(task, CurrentTask(task, reporter.put, attempt=1))
                with as_current_task(here):
                    report(current=count, total=1_000_000, message=f"{time.time():.6f}")
                count += 1
            time.sleep(0.002)
        reporter.flush()
        print("done", flush=True)


main()
