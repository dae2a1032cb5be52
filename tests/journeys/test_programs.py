"""Other programs send through the whole of Mailroom, with the clients that they use already."""

import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
import resend

from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.postgres import Postgres
from tests import processes
from tests.journeys.conftest import key_for
from tests.sink import Fault, Sink
from tests.snippets import snippet
from tests.stack import Stack, running_stack

SHOP = "Shop <shop@mailroom.example>"


pytestmark = pytest.mark.xdist_group("programs")  # one stack for the file


@pytest.fixture(scope="module")
def stack(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(postgres, tmp_path_factory.mktemp("programs")) as stack:
        stack.reset()
        yield stack


@pytest.fixture
def environment(stack: Stack) -> dict[str, str]:
    return stack.environment


@pytest.fixture
def sink(stack: Stack) -> Sink:
    stack.sink.faults.clear()
    stack.sink.accepted.clear()
    return stack.sink


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return key_for(stack.environment)


@pytest.fixture
def sdk(environment: dict[str, str], key: str) -> Iterator[Any]:
    """Resend's own SDK, with nothing changed but the address that it calls."""
    before = resend.api_url, resend.api_key
    resend.api_url, resend.api_key = f"{environment['PUBLIC_URL']}/api/v1", key
    yield resend
    resend.api_url, resend.api_key = before


def wait_for(what: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def last_event(sdk: Any, email_id: str) -> str:
    return str(sdk.Emails.get(email_id)["last_event"])


def test_resends_sdk_sends_lists_schedules_and_cancels(sdk: Any, sink: Sink) -> None:
    sent = sdk.Emails.send(
        {
            "from": SHOP,
            "to": ["alice@example.org", "bob@example.org"],
            "bcc": "carol@example.org",
            "subject": "Your order",
            "html": "<p>Grüße</p>",
            "attachments": [{"filename": "a.txt", "content": "aGVsbG8="}],
            "tags": [{"name": "order", "value": "17"}],
        }
    )
    wait_for(lambda: last_event(sdk, sent["id"]) == "sent")
    assert sorted(mail.recipient for mail in sink.accepted) == [
        "alice@example.org",
        "bob@example.org",
        "carol@example.org",
    ]
    assert len({mail.raw for mail in sink.accepted}) == 1 and b"carol" not in sink.accepted[0].raw
    batch = sdk.Batch.send(
        [{"from": SHOP, "to": "a@example.org", "subject": str(n), "text": "t"} for n in range(20)]
    )
    assert len(batch["data"]) == 20
    due = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    later = sdk.Emails.send(
        {"from": SHOP, "to": "a@example.org", "subject": "s", "text": "t", "scheduled_at": due}
    )
    assert last_event(sdk, later["id"]) == "scheduled"
    sdk.Emails.update({"id": later["id"], "scheduled_at": (datetime.now(UTC) + timedelta(seconds=2)).isoformat()})
    wait_for(lambda: last_event(sdk, later["id"]) == "sent")
    other = sdk.Emails.send(
        {"from": SHOP, "to": "a@example.org", "subject": "s", "text": "t", "scheduled_at": due}
    )
    sdk.Emails.cancel(other["id"])
    assert last_event(sdk, other["id"]) == "canceled"
    assert len(sdk.Emails.list({"limit": 5})["data"]) == 5
    made = sdk.ApiKeys.create({"name": "second"})
    assert made["token"].startswith("mr_") and len(sdk.ApiKeys.list()["data"]) == 2
    sdk.ApiKeys.remove(made["id"])


def test_the_documents_snippets_for_python_and_curl_work_as_they_stand(
    environment: dict[str, str], tmp_path: Path
) -> None:
    port, url = free_port(), environment["PUBLIC_URL"]
    told = {
        "MAILROOM": url,
        "MAILROOM_KEY": key_for(environment, "--domain", "shop.example", "--test"),
        "PATH": environment["PATH"],
    }
    names = f"import os\nMAILROOM, MAILROOM_KEY = {url!r}, os.environ['MAILROOM_KEY']\n"
    asked = {**environment, "SUBMISSION_PORT": str(port), "LOG_LEVEL": "debug"}
    with processes.running("submission", ["mailroom", "submission"], asked, tmp_path) as submission:
        submission.wait_for("listens on")
        for command in (
            ["sh", "-c", snippet("", "/emails")],
            ["sh", "-c", snippet("", "/webhooks")],
            [sys.executable, "-c", names + snippet("python", "import resend")],
            [sys.executable, "-c", names + snippet("python", "import smtplib").replace("2587", str(port))],
        ):
            subprocess.run(command, env=told, capture_output=True, timeout=30, check=True)
    assert "alice@" not in submission.text, "a library logs what clients say"
    bearer = {"Authorization": f"Bearer {told['MAILROOM_KEY']}"}
    listed = httpx.get(f"{url}/api/v1/emails", headers=bearer).json()["data"]
    assert [(mail["subject"], mail["to"]) for mail in listed] == [("Your order", ["alice@example.org"])] * 3
    hooks = httpx.get(f"{url}/api/v1/webhooks", headers=bearer).json()["data"]
    assert [hook["endpoint"] for hook in hooks] == ["https://shop.example/hooks"]


def test_an_error_is_one_that_the_sdk_knows(sdk: Any) -> None:
    with pytest.raises(resend.exceptions.ResendError) as caught:
        sdk.Emails.send({"from": "x@elsewhere.example", "to": "a@example.org", "subject": "s", "text": "t"})
    assert "mailroom keys create" in str(caught.value)
    sdk.api_key = "mr_wrong"
    with pytest.raises(resend.exceptions.ResendError) as caught:
        sdk.Emails.get("x")
    assert caught.value.code == 403


def test_test_recipients_go_the_whole_way_without_a_mail_server(sdk: Any, sink: Sink) -> None:
    ends = {"delivered": "sent", "bounced": "failed", "suppressed": "suppressed", "complained": "sent"}
    sent = {
        name: sdk.Emails.send({"from": SHOP, "to": f"{name}@resend.dev", "subject": "s", "text": "t"})["id"]
        for name in ends
    }
    wait_for(lambda: {name: last_event(sdk, email_id) for name, email_id in sent.items()} == ends)
    assert sink.accepted == []
    found = sdk.Emails.get(sent["bounced"])["recipients"][0]
    assert (found["error"]["code"], len(found["attempts"])) == (550, 1)


def test_what_the_mail_server_says_is_in_the_recipients(sdk: Any, sink: Sink) -> None:
    sink.faults.append(Fault("rcpt", reply="550 5.1.1 no such user"))
    sent = sdk.Emails.send({"from": SHOP, "to": "alice@example.org", "subject": "s", "text": "t"})
    wait_for(lambda: last_event(sdk, sent["id"]) == "failed")
    recipient = sdk.Emails.get(sent["id"])["recipients"][0]
    assert recipient["error"]["enhanced"] == "5.1.1"
    assert [event["type"] for event in recipient["events"]] == ["email.failed"]


def test_a_program_that_knows_only_smtp_sends_and_a_large_mail_goes_through(
    environment: dict[str, str], key: str, sink: Sink, tmp_path: Path
) -> None:
    port = free_port()
    settings = {**environment, "SUBMISSION_PORT": str(port), "HOST": "127.0.0.1"}
    with processes.running("submission", ["mailroom", "submission"], settings, tmp_path) as submission:
        submission.wait_for("listens on")
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = SHOP, "alice@example.org", "Large"
        message.set_content("see the file")
        message.add_attachment(b"x" * 3_000_000, maintype="application", subtype="octet-stream", filename="a.bin")
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.login("any", key)
            client.send_message(message)
            client.send_message(message)
        wait_for(lambda: len(sink.accepted) == 2, 30)
        assert sink.accepted[0].recipient == "alice@example.org"
        assert len(sink.accepted[0].raw) > 4_000_000
