"""The whole of Mailroom as real processes, and people who use it by HTTP."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailroom.ops.embedded.ports import free_port
from tests import processes
from tests.journeys.people import Person
from tests.sink import Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def environment(environment: dict[str, str], sink: Sink) -> dict[str, str]:
    port = free_port()
    return {
        **environment,
        "SMTP_URL": sink.url,
        "SMTP_CONNECT_TIMEOUT": "3",
        "PORT": str(port),
        "PUBLIC_URL": f"http://localhost:{port}",
    }


@pytest.fixture
def web(environment: dict[str, str], tmp_path: Path) -> Iterator[processes.Running]:
    with processes.web(environment, tmp_path, int(environment["PORT"])) as process:
        yield process


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[processes.Running]:
    with processes.celery_worker(environment, tmp_path) as process:
        yield process


@pytest.fixture
def alice(web: processes.Running, environment: dict[str, str]) -> Iterator[Person]:
    with Person("alice@example.org", environment["PUBLIC_URL"]) as person:
        yield person


@pytest.fixture
def mallory(web: processes.Running, environment: dict[str, str]) -> Iterator[Person]:
    with Person("mallory@example.net", environment["PUBLIC_URL"]) as person:
        yield person


def link_in(text: str) -> str:
    """Return the path of the link with a token in a mail's text."""
    found = re.search(r"https?://[^/\s]+(/(?:confirm|new-password)/\S+)", text)
    assert found, text
    return found.group(1)


def code_in(text: str) -> str:
    """Return the typed code in a mail's text."""
    found = re.search(r"\b([A-Z2-9]{4}-[A-Z2-9]{4})\b", text)
    assert found, text
    return found.group(1)


def key_for(environment: dict[str, str], *options: str) -> str:
    """Make an API key in the shell, as an operator does; return it."""
    done = subprocess.run(
        [sys.executable, "-m", "mailroom", "keys", "create", "shop", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()[-1]
