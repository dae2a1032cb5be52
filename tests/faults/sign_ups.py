"""Many people who sign up by HTTP at the same time, each from an address of their own."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from tests.faults.stack import IN_FLIGHT, Stack
from tests.journeys.people import PASSWORD, Person


@dataclass(frozen=True)
class Tried:
    """One attempt to sign up and what came of it."""

    email: str
    status: int | None
    ticket: str | None
    page: str


def sign_up(stack: Stack, number: int) -> Tried:
    """Sign up once; `status` is None where the connection broke."""
    email = f"person{number}@example.org"
    with Person(email, f"http://localhost:{stack.port}") as person:
        person.headers["X-Forwarded-For"] = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
        try:
            answer = person.post("/sign-up", data={"email": email, "password": PASSWORD})
        except httpx.HTTPError:
            return Tried(email, None, None, "")
    ticket = answer.headers["Location"].rpartition("/")[2] if answer.status_code == 303 else None
    return Tried(email, answer.status_code, ticket, answer.text)


def sign_up_all(
    stack: Stack, meanwhile: Callable[[], None] = lambda: None, count: int = IN_FLIGHT, start: int = 0
) -> list[Tried]:
    """Let many sign up, eight at a time; call `meanwhile` when a quarter of them has."""
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(sign_up, stack, number) for number in range(start, start + count)]
        while sum(future.done() for future in futures) < count / 4:
            time.sleep(0.02)
        meanwhile()
        return [future.result() for future in futures]


def each_has_a_mail(stack: Stack, tried: list[Tried], others: str = "") -> None:
    """Whoever was told "on its way" has it; whoever was told to try again has left nothing half done.

    `others` is a pattern (LIKE) of addresses whose mails have no sign-up behind them.
    """
    told = {one.email for one in tried if one.status == 303}
    promised = {email for (email,) in stack.sql("select recipient from mails where recipient not like %s", others)}
    assert told <= promised
    unclear = {one.email for one in tried if one.status is None}
    assert promised <= told | unclear, "somebody who was refused has left a mail"
    sent = {mail.recipient for mail in stack.sink.accepted}
    assert told <= sent
    half = stack.sql(
        "select count(*) from sign_ups full join mails on mails.id = sign_ups.mail_id "
        "where mails.id is null or (sign_ups.id is null and recipient not like %s)",
        others,
    )
    assert half == [(0,)]
