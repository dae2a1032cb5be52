"""A backup is restored with mails in flight: nothing is lost, and no copy is unmarked. Real dumps and workers."""

import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.dumps import dump, restore
from tests.faults.conftest import Recovers
from tests.faults.invariants import twice
from tests.faults.stack import FLEET, IN_FLIGHT, PREFORK, TEST_KINDS, THREADS, Stack, restart, under_way
from tests.processes import Running
from tests.sink import wait_for

pytestmark = pytest.mark.faults

REFUSED = "The database was restored from a backup."


def restored(stack: Stack, *arguments: str) -> str:
    """Run `mailroom restored` as an operator does; return what it says."""
    command = [sys.executable, "-m", "mailroom", "restored", *arguments]
    done = subprocess.run(
        command, env=stack.environment, cwd=stack.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def marked(stack: Stack) -> int:
    return stack.sql("select count(*) from attempts where uncertain_at is not null and reason = 'restored'")[0][0]


def put_back(stack: Stack, file: Path) -> None:
    """Restore the dump as docs/OPERATING.md says."""
    restore(stack.postgres.url, file)
    with stack.redis() as client:
        client.flushall()  # results newer than the backup


def known_to_a_worker(stack: Stack) -> None:
    """Have a worker see the database once."""
    worker = stack.worker()
    wait_for(lambda: stack.sql("select count(*) from database_identity") == [(1,)], 20, "a heartbeat")
    end(worker)


def end(worker: Running) -> None:
    worker.stop()
    wait_for(lambda: worker.process.poll() is not None)


@pytest.mark.parametrize("command", [THREADS, PREFORK], ids=["threads", "prefork"])
def test_a_dump_with_mails_in_flight(
    stack: Stack, recovers: Recovers, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """The dump is made while half of the mails are out; the rest goes out; then the dump is restored."""
    stack.sink.delay = 0.02
    stack.put()
    worker = stack.worker(command)
    under_way(stack, IN_FLIGHT // 3)
    began = datetime.now(UTC)
    dump(stack.postgres.url, tmp_path / "mailroom.dump")
    wait_for(lambda: stack.count("state = 'sent'") == IN_FLIGHT, 60, "all are sent")
    end(worker)
    put_back(stack, tmp_path / "mailroom.dump")
    waiting = stack.count("state <> 'sent'")
    assert waiting > 10

    refused = stack.begin_worker(command)
    refused.process.wait(60)
    assert (refused.process.returncode, REFUSED in refused.text) == (2, True), refused.text
    assert stack.count("state <> 'sent'") == waiting, "it has touched nothing"

    said = restored(stack, "--from", began.isoformat())
    assert f"confirm_sign_up {waiting}" in said
    stack.worker(command)
    recovers()
    assert stack.count("state = 'sent'") == IN_FLIGHT
    assert twice(stack) == waiting == marked(stack)


def test_mails_that_must_not_arrive_twice_wait_for_a_person(
    stack: Stack, recovers: Recovers, tmp_path: Path
) -> None:
    known_to_a_worker(stack)
    stack.put(20, kind="held", to="held")
    dump(stack.postgres.url, tmp_path / "mailroom.dump")
    worker = stack.worker(TEST_KINDS, FAULTS_MEND="no")
    wait_for(lambda: stack.count("state = 'sent'") == 20, 40, "all are sent")
    end(worker)
    put_back(stack, tmp_path / "mailroom.dump")
    assert "Left to a person: 20 mails (held 20)." in restored(stack, "--from", datetime.now(UTC).isoformat())
    stack.worker(TEST_KINDS, FAULTS_MEND="no")
    stack.put(5)
    recovers()
    assert stack.count("state = 'uncertain' and kind = 'held'") == 20
    assert twice(stack) == 0


def test_a_worker_that_runs_while_the_dump_is_restored_ends_and_does_not_start_again(
    stack: Stack, tmp_path: Path
) -> None:
    stack.sink.faults.clear()
    worker = stack.worker(FLEET)
    wait_for(lambda: stack.sql("select count(*) from database_identity") == [(1,)], 20, "a heartbeat")
    stack.sink.stop()
    stack.put(20)
    dump(stack.postgres.url, tmp_path / "mailroom.dump")
    restore(stack.postgres.url, tmp_path / "mailroom.dump")
    wait_for(lambda: REFUSED in worker.text, 30, "the workers notice")
    stack.sink.start()
    time.sleep(8)
    assert not stack.sink.accepted
    worker.stop()


def test_an_older_copy_of_the_files_is_recognized_by_the_heartbeat_in_redis(
    stack: Stack, recovers: Recovers
) -> None:
    """What pg_basebackup and a snapshot of the disk leave: the same cluster, minutes ago."""
    known_to_a_worker(stack)
    stack.put(20)
    copy = stack.folder / "copy"
    stack.postgres.stop()
    shutil.copytree(stack.postgres.data, copy, symlinks=True)
    restart(stack.postgres)
    worker = stack.worker()
    wait_for(lambda: stack.count("state = 'sent'") == 20, 30, "all are sent")
    end(worker)
    stack.sql(  # the heartbeat of three minutes later, which this test does not wait for
        "update database_identity set heartbeat_at = heartbeat_at - interval '1 min'"
    )
    with stack.redis() as client:
        (key,) = client.keys("mailroom:database:*")
        client.set(key, time.time() + 180)
    stack.postgres.stop()
    data = stack.postgres.data
    owner = data.stat()
    shutil.rmtree(data)
    shutil.move(copy, data)
    for each in (data, *data.rglob("*")):
        shutil.chown(each, owner.st_uid, owner.st_gid)
    restart(stack.postgres)
    refused = stack.begin_worker(THREADS)
    refused.process.wait(60)
    assert (refused.process.returncode, REFUSED in refused.text) == (2, True), refused.text
    restored(stack, "--from", datetime.now(UTC).isoformat())
    with stack.redis() as client:
        client.delete(key)  # the time that was put forward above has not come yet
    stack.worker()
    recovers()
    assert twice(stack) == 20 == marked(stack)
