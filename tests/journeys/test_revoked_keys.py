"""A key that is revoked in one process ends in every other: HTTP, SMTP, sockets, streams, long polls, tokens."""

import json
import smtplib
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_connection
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mailroom.ops.embedded.ports import free_port
from tests import processes
from tests.journeys.conftest import key_for
from tests.sink import wait_for

SOON = 15
"""Seconds in which it must have ended on a busy machine; two or three are usual."""
MAIL = {"from": "shop@mailroom.example", "to": "a@example.org", "subject": "s", "text": "t"}


@pytest.fixture
def other_web(environment: dict[str, str], web: processes.Running, tmp_path: Path) -> Iterator[str]:
    """A second web process on the same database, as on another machine; its address."""
    port = free_port()
    folder = tmp_path / "other"
    folder.mkdir()
    with processes.running("other", ["mailroom", "web"], {**environment, "PORT": str(port)}, folder) as other:
        processes.wait_until_healthy(other, port)
        yield f"127.0.0.1:{port}"


def test_a_revoked_key_ends_in_every_process_within_seconds(
    environment: dict[str, str], other_web: str, tmp_path: Path
) -> None:
    url, port = environment["PUBLIC_URL"], free_port()
    host = {"Host": url.partition("//")[2]}
    admin = {"Authorization": f"Bearer {key_for(environment)}"}
    made = httpx.post(f"{url}/api/v1/api-keys", headers=admin, json={"name": "shop"}).json()
    shop = {"Authorization": f"Bearer {made['token']}"}
    api = f"http://{other_web}/api/v1"
    sent = httpx.post(f"{api}/emails", headers={**shop, **host}, json=MAIL).json()
    path = f"{api}/watch/{sent['watch_token']}"
    told: dict[str, Any] = {}

    def stream() -> None:
        with httpx.stream("GET", path, headers={"Accept": "text/event-stream", **host}, timeout=60) as answer:
            lines = answer.iter_lines()
            told["stream begun"] = next(lines)
            told["stream ended"] = list(lines)

    def poll() -> None:
        first = httpx.get(path, headers=host)
        told["poll begun"] = first.status_code
        asked = {**host, "If-None-Match": first.headers["ETag"]}
        told["poll ended"] = httpx.get(f"{path}?wait=30", headers=asked, timeout=60).status_code

    asked = {**environment, "SUBMISSION_PORT": str(port)}
    address, _, other_port = other_web.partition(":")
    with processes.running("submission", ["mailroom", "submission"], asked, tmp_path) as submission:
        submission.wait_for("listens on")
        with (
            create_connection((address, int(other_port))) as line,
            connect(f"ws://{host['Host']}/embed/live", sock=line) as socket,
        ):
            socket.send(json.dumps({"watch": [sent["watch_token"]]}))
            assert json.loads(socket.recv(SOON))["state"] == "queued"
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
                client.login("any", made["token"])
                threads = [threading.Thread(target=ask, daemon=True) for ask in (stream, poll)]
                for thread in threads:
                    thread.start()
                wait_for(lambda: {"stream begun", "poll begun"} <= told.keys(), SOON)
                assert httpx.delete(f"{url}/api/v1/api-keys/{made['id']}", headers=admin).json()["deleted"]
                assert httpx.get(f"{api}/emails", headers={**shop, **host}).json()["name"] == "invalid_api_key"
                assert httpx.get(path, headers=host).status_code == 404
                with pytest.raises(smtplib.SMTPDataError) as refused:
                    client.sendmail(MAIL["from"], [MAIL["to"]], b"From: shop@mailroom.example\r\n\r\nt")
                assert refused.value.smtp_code == 535
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(SOON)
            assert closed.value.rcvd and closed.value.rcvd.code == 4401
            wait_for(lambda: "stream ended" in told and "poll ended" in told, SOON)
    assert told["poll ended"] == 404
    assert not any(line.startswith("data:") for line in told["stream ended"])
