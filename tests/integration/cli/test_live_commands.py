"""`mailroom send` and `mailroom watch`, as Olga the operator uses them, with a real worker and mail server."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import celery_worker
from tests.sink import Fault, Sink

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def environment(environment: dict[str, str], sink: Sink) -> dict[str, str]:
    return {**environment, "SMTP_URL": sink.url}


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Start:
    """Start `mailroom …` in an empty folder."""

    def start(
        *arguments: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE
    ) -> "subprocess.Popen[str]":
        command = [sys.executable, "-W", "error", "-m", "mailroom", *arguments]
        return subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True
        )

    return start


def test_olga_sends_a_mail_and_sees_it_arrive_be_refused_and_watches_it_again(
    start: Start, sink: Sink, environment: dict[str, str], tmp_path: Path
) -> None:
    sink.faults.append(Fault("rcpt", reply="550 5.7.1 no such person", recipient="nobody@example.org"))
    with celery_worker(environment, tmp_path):
        sending = start("send", "--to", "alice@example.org", "--subject", "Hello: you", stdin=subprocess.PIPE)
        said, errors = sending.communicate("Two lines\n<b>of text</b> = done\n.dot\n", timeout=60)
        assert sending.returncode == 0, said + errors
        assert said.splitlines()[-1].startswith("sent")
        message = sink.to("alice@example.org")[-1]
        assert message.message["Subject"] == "Hello: you"
        assert "Two lines\n<b>of text</b> = done\n.dot" in message.part("plain").replace("\r\n", "\n")
        assert "&lt;b&gt;of text&lt;/b&gt;" in message.part("html")

        refused = start("send", "--to", "nobody@example.org", "--subject", "Hello", "--text", "Anybody?")
        said, errors = refused.communicate(timeout=60)
        assert refused.returncode == 1
        assert re.search(r"^127\.0\.0\.1:\d+: 550 5\.7\.1 no such person$", errors, re.MULTILINE), errors
        assert "failed" in said.splitlines()[-1]
        assert "550 5.7.1" in said.splitlines()[-1]
        ticket = re.search(r"[0-9a-f-]{36}", errors)
        assert ticket

        screen, inside = pty.openpty()
        watching = start("watch", ticket[0], stdout=inside)
        _, errors = watching.communicate(timeout=60)
        os.close(inside)
        drawn = os.read(screen, 65536).decode()
        os.close(screen)
        assert watching.returncode == 1, errors
        assert "failed" in drawn
        assert "━" in drawn  # a bar


def test_what_nobody_knows_is_a_sentence_and_ctrl_c_leaves_the_mail_in_the_queue(start: Start) -> None:
    unknown = start("watch", "01a20c8f-2ff0-72db-b9e6-77efdce8a143")
    _, errors = unknown.communicate(timeout=60)
    assert (unknown.returncode, errors) == (
        1,
        "There is no mail or task with this id. `mailroom mails` and `mailroom tasks` list the ids.\n",
    )
    empty = start("send", "--to", "alice@example.org", "--subject", "Hello")
    assert empty.wait(60) == 2
    empty.communicate()
    sending = start("send", "--to", "alice@example.org", "--subject", "Hello", "--text", "Hi")
    assert sending.stdout
    assert sending.stdout.readline() == "queued\n"
    sending.send_signal(signal.SIGINT)
    _, errors = sending.communicate(timeout=30)
    assert sending.returncode == 130
    assert "It is no longer shown here, and goes on." in errors
    assert "Traceback" not in errors
