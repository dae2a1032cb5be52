"""The desk's pages about background tasks over real services."""

from uuid import UUID

import pytest
from sqlalchemy import text

from mailroom.tasks.states import Outcome, TaskState
from tests.integration.web.test_desk import ANY, audit, house, with_role
from tests.integration.web.test_task_pages import House

__all__ = ["house"]


async def test_tasks_by_name_and_state_with_what_is_usual_a_traceback_and_parts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.services.task_desk, "_budget", 30.0)  # a busy machine is not what is tested
    olga = await with_role(house, "olga@example.org", "operator")
    victor = await with_role(house, "victor@example.org", "viewer")
    have = house.services
    failed, done = await olga.start("Import of a@example.org", "import"), await olga.start("A count")
    trace = 'File "x.py", line 3, in read\nValueError: 5'
    await olga.end(failed, Outcome(TaskState.FAILED, error="bad row", traceback=trace))
    await olga.end(done, Outcome(TaskState.DONE, current=3, total=3))
    async with have.database.begin() as work:
        group = await have.task_service.start_group(work, [("count", ["a-needle"]), ("count", [2])], title="Two")
    page = await olga.get("/desk/tasks")
    for words in ("Import of a@example.org", "bad row", "A count", "3 of 3", "Two", "100%", "?name=import"):
        assert words in page, words
    page = await olga.get("/desk/tasks?name=count&words=a-needle")
    assert page.count('class="row" href="/desk/tasks/') == 1
    page = await olga.get("/desk/tasks?state=failed")
    assert page.count('class="row" href="/desk/tasks/') == 1
    page = await olga.get(f"/desk/tasks/{failed}")
    assert "ValueError: 5" in page and "Begin it again" in page
    page = await olga.get(f"/desk/tasks/{group}")
    assert page.count('class="row" href="/desk/tasks/') == 2
    for path in ("/desk/tasks", f"/desk/tasks/{failed}"):
        page = await victor.get(path)
        assert "a…@example.org" in page
        for hidden in ("a@example.org", "ValueError", "Begin it again", 'name="words"'):
            assert hidden not in page, hidden
    assert "a-needle" not in await victor.get(f"/desk/tasks/{group}")
    failures = await olga.get("/desk/failures")
    assert "ValueError" in failures and "x.py:3 in read" in failures

    assert await olga.post(f"/desk/tasks/{failed}/retry") == (303, f"/desk/tasks/{failed}")
    assert (await olga.post(f"/desk/tasks/{done}/retry"))[0] == 409
    assert await olga.post(f"/desk/tasks/{failed}/cancel") == (303, f"/desk/tasks/{failed}")
    async with have.database.begin() as work:
        found = await work.session.scalar(text("select state from tasks where id = :id"), {"id": failed})
    assert found == "cancelled"
    assert [act[:3] for act in await audit(house)] == [
        ("task.cancelled", "olga@example.org", str(failed)),
        ("task.retried", "olga@example.org", str(failed)),
    ]
    await olga.get(f"/desk/tasks/{UUID(ANY)}", 404)
