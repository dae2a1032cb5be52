"""Memory of web and submission while programs send mails of 10 MB, over HTTP and SMTP at the same time."""

import asyncio
import base64
import os
import smtplib
import threading
import time
from email.message import EmailMessage

import httpx
import psutil

from benchmarks.postfix import until_it_greets
from benchmarks.programs import SENDER, make_key, until_it_answers
from benchmarks.stage import Row, Stage
from mailroom.ops.embedded.ports import free_port

MAILS, AT_ONCE = 1000, 4
OCTETS = 7_500_000
"""Of the file; the message has 10 MB, in base64."""
FORGET_EVERY = 20


def measure(stage: Stage, mails: int = MAILS) -> list[Row]:
    """Return the most memory each took, and how often a program was told to come back."""
    web, port = free_port(), free_port()
    environment = stage.environment(
        9, PORT=str(web), HOST="127.0.0.1", PUBLIC_URL=f"http://localhost:{web}", SUBMISSION_PORT=str(port)
    )
    key = make_key(stage)
    servers = {
        name: psutil.Process(stage.process("-m", "mailroom", name, environment=environment).pid)
        for name in ("web", "submission")
    }
    until_it_answers(f"http://localhost:{web}/healthz")
    until_it_greets(port)
    at_rest = {name: process.memory_info().rss for name, process in servers.items()}
    most = dict(at_rest)
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for name, process in servers.items():
                most[name] = max(most[name], process.memory_info().rss)
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    later = {"web": 0, "submission": 0}
    for begun in range(0, mails, FORGET_EVERY):
        count = min(FORGET_EVERY, mails - begun)
        later["web"] += asyncio.run(over_http(f"http://localhost:{web}/api/v1/emails", key, count))
        later["submission"] += over_smtp(port, key, count)
        stage.forget()
    done.set()
    watcher.join()
    return [
        Row(
            f"{mails} mails of 10 MB, {AT_ONCE} at a time: memory of {name}",
            f"{most[name] / 1e6:.0f} MB at most",
            f"at rest {at_rest[name] / 1e6:.0f} MB",
            f"{later[name]} told to come back",
            "under 250 MB",
        )
        for name in servers
    ]


async def over_http(url: str, key: str, count: int) -> int:
    """Send so many; return how often the answer was 503."""
    file = {"filename": "a.bin", "content": base64.b64encode(os.urandom(OCTETS)).decode()}
    mail = {"from": SENDER, "to": "alice@example.org", "subject": "big", "text": "x", "attachments": [file]}
    content, later = httpx.Request("POST", url, json=mail).read(), 0
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(headers=headers, timeout=120) as client:
        left = iter(range(count))

        async def some() -> None:
            nonlocal later
            for _ in left:
                while (
                    answer := await client.post(url, content=content)
                ).status_code == httpx.codes.SERVICE_UNAVAILABLE:
                    later += 1
                    await asyncio.sleep(0.2)
                answer.raise_for_status()

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return later


def over_smtp(port: int, key: str, count: int) -> int:
    """Send so many; return how often the reply was 451."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, "alice@example.org", "big"
    message.set_content("x")
    message.add_attachment(os.urandom(OCTETS), "application", "octet-stream", filename="a.bin")
    raw, later, left = message.as_bytes().replace(b"\n", b"\r\n"), [0], list(range(count))

    def some() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=120) as client:
            client.login("any", key)
            while left:
                left.pop()
                while True:
                    try:
                        client.sendmail(SENDER, ["alice@example.org"], raw)
                        break
                    except smtplib.SMTPDataError as error:
                        if error.smtp_code != 451:
                            raise
                        later[0] += 1
                        time.sleep(0.2)

    clients = [threading.Thread(target=some) for _ in range(AT_ONCE)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return later[0]
