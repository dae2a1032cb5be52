"""The usual recipe, to compare with: a Celery task a mail, smtplib, a connection a mail, no record kept."""

import os
import smtplib
from email.message import EmailMessage

from celery import Celery

app = Celery("usual", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.task_default_queue = "usual"


@app.task
def send(to: str) -> str:
    message = EmailMessage()
    message["Subject"] = "Please confirm your address"
    message["From"] = "hello@example.org"
    message["To"] = to
    message.set_content("Welcome. One step is left: open this page.\n\nhttps://example.org/confirm/token\n")
    message.add_alternative(
        "<p>Welcome. One step is left.</p><p><a href='https://example.org'>Confirm</a></p>", "html"
    )
    with smtplib.SMTP("127.0.0.1", int(os.environ["BENCH_SMTP_PORT"])) as server:
        server.send_message(message)
    return to


@app.task
def empty() -> None:
    return None
