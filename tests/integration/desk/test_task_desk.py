"""Lists of background tasks over a real PostgreSQL."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from mailroom.bootstrap.services import create_services
from mailroom.desk import slices
from mailroom.desk.mail_search import MailSearches
from mailroom.desk.search import MailSearch
from mailroom.desk.slices import FIRST_SLICE
from mailroom.desk.task_desk import TaskDesk, TaskFilter
from mailroom.kit import clock
from mailroom.services import Services
from mailroom.settings import Settings

PUT = """
insert into tasks (id, title, name, state, arguments, created_at, began_at, ended_at)
select uuidv7(- age), 'A task', name, state, jsonb_build_array(word || number), now() - age, now() - age,
    now() - age
from jsonb_to_recordset(cast(:rows as jsonb)) as wish (name text, state text, word text, count int, age interval),
    generate_series(1, count) as number
"""


@pytest.fixture
async def have(settings: Settings) -> AsyncIterator[Services]:
    services = create_services(settings, lambda _ids: None, lambda *_: None, name="tests")
    yield services
    await services.database.close()


async def put(have: Services, *rows: dict[str, Any]) -> None:
    usual = {"name": "acme.import", "state": "done", "word": "w", "count": 1, "age": "1 minute"}
    async with have.database.begin() as work:
        await work.session.execute(text(PUT), {"rows": json.dumps([{**usual, **row} for row in rows])})


async def test_pages_of_tasks_follow_by_key_and_one_that_took_long_says_how_far_it_looked(
    have: Services,
) -> None:
    await put(
        have,
        *({"count": 7, "age": f"{days} days 1 hour"} for days in range(5)),
        {"name": "acme.rare", "state": "failed", "word": "needle", "age": "3 days"},
        {"age": "8 days"},
    )
    desk, seen, before = TaskDesk(have.database, budget=30), [], None
    while True:
        page = await desk.page(TaskFilter(), before=before, limit=10)
        assert page.looked_to is None
        seen += [task.id for task in page.rows]
        before = page.next
        if before is None:
            break
        assert len(page.rows) == 10
    assert seen == sorted(set(seen), reverse=True) and len(seen) == 36
    for wanted in (TaskFilter("acme.rare"), TaskFilter(state="failed"), TaskFilter(words="needle1")):
        assert [task.name for task in (await desk.page(wanted)).rows] == ["acme.rare"], wanted
    hurried = await TaskDesk(have.database, budget=0).page(TaskFilter(words="needle1"))
    assert not hurried.rows and hurried.looked_to
    assert abs(clock.now() - FIRST_SLICE - hurried.looked_to).total_seconds() < 60
    rest = await desk.page(TaskFilter(words="needle1"), before=hurried.next)
    assert [task.name for task in rest.rows] == ["acme.rare"] and rest.looked_to is None


async def test_where_not_even_the_newest_tasks_can_be_looked_at_there_is_no_way_on_to_the_same_page(
    have: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "PATIENCE", 0.1)
    await put(have, {})
    async with have.database.begin() as work:
        await work.session.execute(text("lock table tasks"))
        stuck = await TaskDesk(have.database).page(TaskFilter())
    assert not stuck.rows and stuck.next is None and stuck.looked_to


async def test_nor_where_that_are_mails(have: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "PATIENCE", 0.1)
    async with have.database.begin() as work:
        await work.session.execute(text("lock table mails"))
        stuck = await MailSearches(have.database).page(MailSearch.parse("state:sent", clock.now()), clock.now())
    assert not stuck.rows and stuck.next is None and stuck.looked_to
