"""A read-only file system, /tmp included, as containers have it: web and worker write nowhere."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import processes
from tests.journeys.conftest import key_for, link_in
from tests.journeys.people import Person, text_of
from tests.sink import Sink, wait_for

LOCK = 'mount -o remount,bind,ro / && ! touch /tmp/probe 2>/dev/null && exec "$@"'
LOCKED = ["unshare", "--mount", "sh", "-c", LOCK, "sh"]
MB = 1_000_000


def can_be_locked() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*LOCKED, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_be_locked(), reason="this user may not have a mount namespace of its own")
def test_somebody_signs_up_and_confirms_and_a_program_sends_a_large_mail(
    environment: dict[str, str], sink: Sink, tmp_path: Path
) -> None:
    told = {**environment, "HOME": "/nonexistent", "MAILROOM_HOME": "/nonexistent"}
    with (
        processes.running("web", ["mailroom", "web"], told, tmp_path, through=LOCKED) as web,
        processes.running("worker", ["mailroom", "worker"], told, tmp_path, through=LOCKED) as worker,
    ):
        processes.wait_until_healthy(web, int(told["PORT"]))
        worker.wait_for(" ready.")
        with Person("alice@example.org", told["PUBLIC_URL"]) as alice:
            assert alice.watch(alice.sign_up())[-1]["state"] == "sent"
            assert alice.post(link_in(sink.to("alice@example.org")[0].part("plain"))).status_code == 303
            assert "alice@example.org" in text_of(alice.get("/account"))
            answer = alice.post("/account/export")
            assert answer.status_code == 303
            ticket = answer.headers["Location"].rpartition("/")[2]
            assert alice.watch(ticket)[-1]["state"] == "done"
            assert alice.get(f"/account/export/{ticket}").content.startswith(b"PK")
            content = base64.b64encode(bytes(8 * MB)).decode()
            mail = {
                "from": "hello@mailroom.example", "to": ["bob@example.org"], "subject": "A catalogue", "text": "x",
                "attachments": [{"filename": "catalogue.pdf", "content": content}],
            }  # fmt: skip
            key = {"Authorization": f"Bearer {key_for(environment)}"}
            sent = alice.post("/api/v1/emails", json=mail, headers=key)
            assert sent.status_code == 200, sent.text
        wait_for(lambda: sink.to("bob@example.org"))
        for process in (web, worker):
            assert "Read-only" not in process.text and "Traceback" not in process.text, process.text[-3000:]
