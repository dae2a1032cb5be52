"""Chromium, driven by Playwright, against a Mailroom of real processes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from mailroom.ops.embedded.postgres import Postgres
from tests.browser.people import People
from tests.stack import Stack, running_stack

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HERE = Path(__file__).parent
STACKS = 3
"""So many stacks, with a Chromium each, share the files: each costs 6 s of a core, and one alone would be last."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    files = sorted(HERE.glob("test_*.py"))
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group(f"browser-{files.index(item.path) % STACKS}"))
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium here: install Debian's package chromium"))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    # One for these tests, not one a session: while it lives, its event loop is in the way of asynchronous tests.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def stack(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(postgres, tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def people(chromium: Browser, mailroom: Stack) -> Iterator[People]:
    """Browsers for people; at the end none of them may have had anything to complain about."""
    people = People(chromium, mailroom.url)
    yield people
    people.go_home()
    assert people.complaints == []
