"""`mailroom up --reload`: what counts as a change, and how programs start again."""

import asyncio
import time
from pathlib import Path

from mailroom.ops import reload
from mailroom.ops.processes.supervisor import Supervisor
from tests.unit.ops.test_supervisor import Notebook, notebook, shell, supervisor

__all__ = ["notebook", "supervisor"]  # fixtures


def test_code_that_was_written_added_or_removed_is_a_change_and_nothing_else_is(tmp_path: Path) -> None:
    page, gone = tmp_path / "app" / "page.html", tmp_path / "gone.py"
    page.parent.mkdir()
    for file in (page, gone):
        file.write_text("one")
    changes = reload.Changes([tmp_path])
    assert changes.look() == []
    cache = tmp_path / "__pycache__" / "page.py"
    cache.parent.mkdir()
    cache.write_text("")
    (tmp_path / "notes.log").write_text("")
    assert changes.look() == []
    page.write_text("three")
    gone.unlink()
    (tmp_path / "new.py").write_text("")
    assert changes.look() == [page, gone, tmp_path / "new.py"]
    assert changes.look() == []


async def test_a_change_starts_the_programs_again_at_once_and_migrates_first_where_a_migration_changed(
    supervisor: Supervisor, notebook: Notebook, tmp_path: Path
) -> None:
    running = "trap 'echo bye; exit' TERM; echo pid $$; while :; do sleep 0.02; done"
    await supervisor.start(shell("web", running), shell("worker", "echo broken; exit 2"), shell("other", running))
    await notebook.wait("worker ended with status 2; starting it again in 2 s")

    async def migrate() -> None:
        notebook.say("migrated")

    following = asyncio.create_task(
        reload.follow(
            [tmp_path], restart=lambda: supervisor.restart("web", "worker"), migrate=migrate, say=notebook.say
        )
    )
    await asyncio.sleep(0.1)
    began = len(notebook.lines)
    file = tmp_path / "migrations" / "new.py"
    file.parent.mkdir()
    file.write_text("")
    until = time.monotonic() + 8
    while sum("web: pid" in line for line in notebook.lines) < 2 and time.monotonic() < until:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    following.cancel()
    said = notebook.lines[began:]
    assert "new.py changed: starting again" in said[0]
    assert said[1] == "migrated"
    assert {"web: bye", "worker: broken"} <= set(said)
    assert not any("web ended" in line or "other" in line for line in said)
