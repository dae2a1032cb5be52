"""A stack a test process, made as new for each fault; and the table of how long each took to recover."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.invariants import FIRST_WITHIN, WITHIN, Recovery, settle
from tests.faults.stack import Stack


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("faults")) as stack:
        yield stack


@pytest.fixture
def stack(servers: Stack) -> Iterator[Stack]:
    servers.reset()
    yield servers
    servers.end_all()


Recovers = Callable[..., Recovery]


@pytest.fixture
def recovers(stack: Stack, request: pytest.FixtureRequest) -> Recovers:
    """Wait for the end of every mail, check all invariants, hold it against the promised times, and note it."""

    def recovers(
        since: float | None = None, *, first: float | None = FIRST_WITHIN, within: float = WITHIN
    ) -> Recovery:
        took = settle(stack, since=since if since is not None else time.time(), within=within)
        request.node.user_properties.append(("recovery", (took.first, took.last)))
        assert first is None or took.first is None or took.first <= first, f"first mail after {took.first:.1f} s"
        return took

    return recovers


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table of recovery times."""
    rows = []
    for report in terminalreporter.getreports("passed"):
        for name, value in getattr(report, "user_properties", ()):
            if name == "recovery" and report.when == "call":
                what = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
                rows.append((what, *value))
    if rows:
        terminalreporter.section("recovered within (seconds: first mail, all mails)")
        for what, first, last in sorted(rows):
            terminalreporter.write_line(f"{'-' if first is None else f'{first:.1f}':>6} {last:6.1f}  {what}")
