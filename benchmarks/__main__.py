"""Mailroom beside what people use instead: `make bench`. Real servers, one run, interleaved.

Prints a table and, where everything was run, writes it to its section of `benchmarks/RESULTS.md`. The rows that
matter are ratios of two figures taken in the same run; absolute ones depend on the machine.
"""

import argparse
import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import footprint, mail_server, many, one_mail, rendering, sign_ups, singles
from benchmarks.results import RESULTS, write_section
from benchmarks.stage import PROCESSES, Row, Stage

HEADING = "## Beside what people use instead"
HEADS = ("what", "Mailroom", "beside it", "ratio", "wanted")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(parts(0)), help="run this part; may be repeated")
    parser.add_argument("--mails", type=int, default=footprint.MAILS, help="mails until memory is looked at")
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that whatever was started is ended
    began, rows = time.monotonic(), []
    for name, measure in parts(told.mails).items():
        if told.only and name not in told.only:
            continue
        print(f"{name}, {time.monotonic() - began:.0f} s …", flush=True)
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, asyncio.Runner() as loop:
            try:
                found = measure(Stage(stack, Path(folder)), loop)
            except BaseException:
                log = Path(folder, "output.log")
                print(log.read_text()[-4000:] if log.exists() else "")
                raise
        rows += found
        show(found)
    if not told.only:
        write(rows, time.monotonic() - began)
        show(rows)


def parts(mails: int) -> dict[str, partial[list[Row]]]:
    return {
        "sign_ups": partial(sign_ups.measure),
        "one_mail": partial(one_mail.measure),
        "singles": partial(singles.measure),
        "many": partial(many.measure),
        "rendering": partial(rendering.measure),
        "footprint": partial(footprint.measure, mails=mails),
    }


def show(rows: list[Row]) -> None:
    table = Table(*HEADS)
    for row in rows:
        table.add_row(row.what, row.ours, row.beside, row.ratio, row.wanted)
    Console(width=150).print(table)


def write(rows: list[Row], seconds: float) -> None:
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("celery", "kombu", "aiosmtplib", "psycopg", "uvloop")
    )
    lines = [
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, in {seconds / 60:.0f} minutes.",
        f"Machine: {PROCESSES} cores, {platform.machine()}, {platform.system()}, load {os.getloadavg()[2]:.1f}.",
        f"Versions: Python {platform.python_version()}, {libraries}.",
        f"Mail server: {mail_server.NAME}, and for delays the sink of benchmarks/.",
        "",
        "Medians of interleaved rounds. Absolute figures are this machine's; the ratios travel. Both sides share",
        "the cores with their publisher and the mail server; Mailroom keeps a durable record of each mail, the",
        "others none.",
        "",
        "| " + " | ".join(HEADS) + " |",
        "|" + "---|" * len(HEADS),
        *(f"| {row.what} | {row.ours} | {row.beside} | {row.ratio} | {row.wanted} |" for row in rows),
    ]
    write_section(RESULTS, HEADING, lines)


if __name__ == "__main__":
    main()
