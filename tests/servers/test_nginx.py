"""The whole journey behind nginx, configured as docs/OPERATING.md says: TLS, websocket, stream, large bodies."""

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.journeys.conftest import key_for, link_in
from tests.journeys.people import PASSWORD
from tests.servers.conftest import Certificate
from tests.servers.nginx import Front, mailroom_behind
from tests.sink import Fault, wait_for

pytestmark = pytest.mark.servers

MB = 1024 * 1024
SHOP = "Shop <shop@mailroom.example>"


@pytest.fixture
def front(environment: dict[str, str], certificate: Certificate, tmp_path: Path) -> Iterator[Front]:
    with mailroom_behind(tmp_path, certificate, environment) as front:
        yield front


def person(front: Front, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
    """Return a browser that connects from this address of the machine."""
    transport = httpx.HTTPTransport(verify=front.trust, local_address=address)
    same = {"Origin": front.url, "Sec-Fetch-Site": "same-origin", **headers}
    return httpx.Client(base_url=front.url, transport=transport, headers=same, timeout=60)


def sign_up(person: httpx.Client, email: str) -> httpx.Response:
    return person.post("/sign-up", data={"email": email, "password": PASSWORD})


def test_a_person_signs_up_watches_and_confirms(front: Front) -> None:
    seen = threading.Event()
    front.sink.faults.append(Fault("mail", until=seen))
    with person(front) as alice:
        answer = sign_up(alice, "alice@example.org")
        assert answer.status_code == 303, answer.text
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-") and "Secure" in cookie
        ticket = answer.headers["Location"].rpartition("/")[2]
        assert alice.get(f"/mails/{ticket}").status_code == 200
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in alice.cookies.jar)
        with connect(
            f"{front.url.replace('https', 'wss')}/live",
            ssl=front.trust,
            origin=front.url,  # type: ignore[arg-type]
            additional_headers={"Cookie": cookies},
        ) as socket:
            socket.send(json.dumps({"watch": [ticket]}))
            states: list[str] = []
            while not states or states[-1] != "sent":
                states.append(json.loads(socket.recv(timeout=60))["state"])
                if states[-1] == "sending":
                    seen.set()
        assert "sending" in states
        text = front.sink.to("alice@example.org")[0].part("plain")
        assert f"{front.url}/confirm/" in text
        assert alice.post(link_in(text)).status_code == 303
        assert "alice@example.org" in alice.get("/account").text.replace("<wbr>", "")


def test_a_client_chooses_no_address_of_its_own(front: Front) -> None:
    """What it writes into X-Forwarded-For, -Host and -Proto, it is counted by the address that nginx sees."""
    answers = []
    for number in range(40):
        made_up = {"X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Host": "evil.example"}
        with person(front, "127.0.0.1", **made_up, **{"X-Forwarded-Proto": "http"}) as mallory:
            answers.append(sign_up(mallory, f"mallory-{number}@example.net").status_code)
        if answers[-1] == 429:
            break
    assert answers[-1] == 429 and set(answers[:-1]) == {303}
    with person(front, "127.0.0.2") as alice:
        assert sign_up(alice, "alice@example.org").status_code == 303


def message(size: int) -> dict[str, Any]:
    content = base64.b64encode(bytes(size)).decode()
    return {
        "from": SHOP, "to": ["alice@example.org"], "subject": "A catalogue", "text": "As you asked",
        "attachments": [{"filename": "catalogue.pdf", "content": content}],
    }  # fmt: skip


def test_large_messages_pass_streams_flow_and_what_is_too_large_is_told_its_limit(front: Front) -> None:
    with person(front, Authorization=f"Bearer {key_for(front.environment)}") as shop:
        front.sink.faults.append(Fault("mail", until=(seen := threading.Event())))
        sent = shop.post("/api/v1/emails", json=message(12 * MB))
        assert sent.status_code == 200, sent.text
        states = []
        place = f"/api/v1/watch/{sent.json()['watch_token']}"
        with shop.stream("GET", place, headers={"Accept": "text/event-stream", "Authorization": ""}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    states.append(json.loads(line.removeprefix("data: "))["state"])
                    seen.set()  # the mail waited for this line: nginx hands over each at once
        assert len(states) > 1 and states[-1] == "sent"
        wait_for(lambda: front.sink.to("alice@example.org"))
        assert len(front.sink.accepted[0].raw) > 12 * MB
        refused = shop.post("/api/v1/emails", content=bytes(40 * MB + 1))
        assert refused.status_code == 413
        assert "40 MB" in refused.text, "Mailroom's own answer, not nginx's"
