"""Benchmarks are run seldom: what moves in src must not leave them behind."""

import importlib
import re
from pathlib import Path

import pytest
from benchmarks.api import LEAST

from mailroom.mail.messages.rows import PUT

FOLDER = Path(__file__).parents[2] / "benchmarks"
DOORS = {"__main__", "group_tasks", "live_reports", "smtp_client", "usual"}
"""Each works at import: they are started as programs."""


@pytest.mark.parametrize("name", sorted({file.stem for file in FOLDER.glob("*.py")} - DOORS))
def test_a_benchmark_finds_what_it_imports(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


def test_the_least_route_writes_what_the_statement_of_messages_asks_for() -> None:
    asked = set(re.findall(r"%\((\w+)\)", PUT))
    given = set(re.findall(r'"(\w+)": (?:\[|timedelta)', LEAST))
    assert given == asked
