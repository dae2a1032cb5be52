"""This tree beside an older commit of it: ``python -m benchmarks.pairs --base c6f1e5b``.

Both are measured on the same machine in turn, with the same Python and libraries: old, new; new, old; and so on.
The medians go into `benchmarks/RESULTS.md`, side by side. A library that only the older commit needs is installed
for it, in a folder that is deleted at the end.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.table import Table

from benchmarks.results import RESULTS, write_section

ROOT = Path(__file__).parents[1]
PARTS = ("rendering", "pages", "one_mail", "singles", "many", "sign_ups", "live")
LONGEST = 300
"""Seconds for one part of one side."""
MOST_SLOWER = 1.05
"""The ratio beyond which a figure is called slower; noise of one machine is often as large."""
HEADING = "## Beside an older commit"
HEADS = ("what", "old", "new", "new/old", "of the pairs")

Figures = Mapping[str, tuple[float, str]]
"""What was measured: the figure and its unit. A unit that ends in `/s` is a rate: more of it is better."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pairs", description=__doc__)
    parser.add_argument("--base", required=True, help="the older commit")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, with commas between: {', '.join(PARTS)}")
    parser.add_argument("--dry", action="store_true", help="print only, leave RESULTS.md as it is")
    told = parser.parse_args()
    parts = told.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that whatever was started is ended
    began, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="mailroom-pairs-") as folder:
        old = unpack(told.base, Path(folder))
        install_missing(old)
        found: dict[str, list[Figures]] = {"old": [], "new": []}
        for number in range(told.pairs):
            sides = [("old", old), ("new", ROOT)]
            for side, tree in sides if number % 2 == 0 else reversed(sides):
                print(f"pair {number + 1} of {told.pairs}, {side}, {time.monotonic() - began:.0f} s …", flush=True)
                found[side].append(measure(tree, parts))
    rows = compare(found["old"], found["new"])
    show(rows)
    if not told.dry:
        write_section(RESULTS, HEADING, page(rows, told.base, told.pairs, time.monotonic() - began, load))


def unpack(commit: str, folder: Path) -> Path:
    """Unpack a commit below `folder` and return where it is."""
    tree = folder / "old"
    tree.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive, check=True)
    return tree


def install_missing(tree: Path) -> None:
    """Install what the tree's lock names and this Python lacks beside the tree's own package."""
    have = {canonicalize_name(found.name) for found in distributions()}
    lines = [line for line in (tree / "requirements.txt").read_text().splitlines() if line[:1].isalpha()]
    pins = [Requirement(line.removesuffix("\\").strip()) for line in lines]
    lacking = [
        f"{pin.name}{pin.specifier}"
        for pin in pins
        if canonicalize_name(pin.name) not in have and (pin.marker is None or pin.marker.evaluate())
    ]
    if lacking:
        print(f"the older commit needs {', '.join(lacking)} …", flush=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
        subprocess.run([*pip, "--target", str(tree / "src"), *lacking], check=True)


def measure(tree: Path, parts: Iterable[str]) -> Figures:
    """Run `pair_parts.py` of this tree in the tree that is measured: both sides are measured by the same code."""
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'src'}:{tree}", "PYTHONWARNINGS": "ignore"}
    figures: dict[str, tuple[float, str]] = {}
    for part in parts:
        command = [sys.executable, "-P", str(ROOT / "benchmarks/pair_parts.py"), part]
        done = subprocess.run(
            command, cwd=tree, env=environment, timeout=LONGEST, stdout=subprocess.PIPE, check=False, text=True
        )
        if done.returncode:
            print(f"  {part} could not be measured", flush=True)
            continue
        figures |= {name: (value, unit) for name, value, unit in json.loads(done.stdout.splitlines()[-1])}
    return figures


def compare(old: Sequence[Figures], new: Sequence[Figures]) -> list[tuple[str, ...]]:
    """Return a row for each figure: both medians, the median of the pairs' ratios, and how far they spread.

    A pair counts where both sides could be measured.
    """
    rows = []
    units = {name: unit for figures in new for name, (_, unit) in figures.items()}
    for name, unit in units.items():
        both = [
            (one[name][0], other[name][0])
            for one, other in zip(old, new, strict=True)
            if {*one} & {*other} & {name}
        ]
        if not both:
            continue
        before, after = zip(*both, strict=True)
        ratios = [new_one / old_one for old_one, new_one in both]
        middle = statistics.median(ratios)
        slower = 1 / middle if unit.endswith("/s") else middle
        mark = " (slower)" if slower > MOST_SLOWER else ""
        better = "↑" if unit.endswith("/s") else "↓"
        rows.append(
            (
                name,
                figure(statistics.median(before), unit),
                figure(statistics.median(after), unit),
                f"{middle:.2f} {better}{mark}",
                f"{min(ratios):.2f} to {max(ratios):.2f}",
            )
        )
    return rows


def figure(value: float, unit: str) -> str:
    """Return three digits of a figure, and its unit."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}{'' if unit.startswith('/') else ' '}{unit}"


def show(rows: Sequence[Sequence[str]]) -> None:
    table = Table(*HEADS)
    for row in rows:
        table.add_row(*row)
    Console(width=130).print(table)


def page(rows: Sequence[Sequence[str]], base: str, pairs: int, seconds: float, load: float) -> list[str]:
    """Return the section of RESULTS.md."""
    return [
        f"Written by `python -m benchmarks.pairs --base {base} --pairs {pairs}` on {datetime.now(UTC):%Y-%m-%d},",
        f"in {seconds / 60:.0f} minutes: {os.cpu_count()} cores, {platform.machine()}, load {load:.1f} before.",
        f"Medians of {pairs} interleaved pairs; the ratio is the median of the pairs' own ratios, ↑ where more is",
        "better and ↓ where less is.",
        "",
        "| " + " | ".join(HEADS) + " |",
        "|" + "---|" * len(HEADS),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


if __name__ == "__main__":
    main()
