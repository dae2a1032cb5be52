"""Do answers tell by their time whether an address has an account? `python -m benchmarks.answer_times`.

Asks each form for a known address and for a new one in turn, each time by another client. Prints the medians, and
how well one answer tells the two apart: 0.5 is a guess, 1.0 is always right (the area under the ROC curve,
Mann-Whitney's U). 95 of 100 runs of two equal sides lie within the range beside it. `--form` asks one of them.
"""

import argparse
import asyncio
import hashlib
import math
import re
import secrets
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from benchmarks.people import PASSWORD, Answer, add_accounts, ask
from benchmarks.sign_ups import app
from benchmarks.stage import Publisher, Stage
from mailroom.accounts.tokens import INVITATION, Tokens
from mailroom.ops.embedded.ports import free_port
from tests.oidc_provider import Provider, running_provider

WARM = 5
"""Pairs that are asked first and do not count."""
REFUSED = {"sign-in": 422}
"""The status of a form that is refused; all others are taken."""
MEMBER = "member@example.org"

Ask = Callable[[int, str], Awaitable[Answer]]
"""Asks a form as a client of this number for an address, and returns the answer that is timed."""


@dataclass(frozen=True)
class Town:
    """A Mailroom at work, and what the forms need beside it."""

    stage: Stage
    port: int
    provider: Provider

    def run(self, query: str, **values: object) -> list[tuple[object, ...]]:
        """Run one statement in the database."""
        with psycopg.connect(self.stage.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def form(self, path: str, more: Mapping[str, str]) -> Ask:
        """Return what asks a form of one page that a stranger may open."""

        async def asked(client: int, email: str) -> Answer:
            return await ask(self.port, client, path, {"email": email, **more})

        return asked

    async def change_of_address(self) -> Ask:
        """Return what asks for another address, by a member."""
        add_accounts(self.stage.postgres.url, [MEMBER])
        secret = secrets.token_urlsafe(32)
        self.run(
            "insert into sessions (id, token_hash, account_id, user_agent, verified_at, expires_at) "
            "select gen_random_uuid(), %(hash)s, id, '', now(), now() + interval '1 day' "
            "from accounts where email = %(email)s",
            hash=hashlib.sha256(secret.encode()).digest(),
            email=MEMBER,
        )

        async def asked(client: int, email: str) -> Answer:
            form = {"email": email, "current": PASSWORD}
            return await ask(self.port, client, "/account/address", form, cookie=f"mailroom={secret}")

        return asked

    async def invited(self) -> Ask:
        """Return what signs up with an invitation that is for whoever has it."""
        services = Publisher(self.stage.settings(self.port)).services
        async with services.database.begin() as work:
            made = await services.invitations.create(work, "anyone@example.org", bound=False)
            mail = await services.outbox.find(work, made.mail_id)
        await services.database.close()
        assert mail is not None
        assert mail.nonce is not None
        token = Tokens(services.settings.secret_keys).token(mail.id, mail.nonce, INVITATION)
        return self.form(f"/invited/{token}", {"password": PASSWORD})

    async def resend(self, client: int, email: str) -> Answer:
        """Sign up, let a minute go by, and ask for the mail again."""
        first = await ask(self.port, client, "/sign-up", {"email": email, "password": PASSWORD})
        ticket = location(first).rpartition("/")[2]
        self.run("update sign_ups set mailed_at = now() - interval '2 minutes' where mail_id = %(id)s", id=ticket)
        return await ask(self.port, client, f"/mails/{ticket}/resend", {}, cookie=cookie(first))

    async def other_site(self, client: int, email: str) -> Answer:
        """Come back from another site, which tells this address."""
        first = await ask(self.port, client, "/sign-in/with/site", {})
        found = re.search(r'content="0; url=([^"]+)"', first.text.decode())
        assert found, first.text
        self.provider.person.sub = self.provider.person.email = email
        back = urlsplit(self.provider.approve(unescape(found[1])))
        return await ask(self.port, client, f"{back.path}?{back.query}", cookie=cookie(first))


def location(answer: Answer) -> str:
    found = re.search(rb"(?im)^location: (\S+)", answer.text)
    assert found, answer.text
    return found[1].decode()


def cookie(answer: Answer) -> str:
    found = re.search(rb"(?im)^set-cookie: (mailroom=[^;]+)", answer.text)
    assert found, answer.text
    return found[1].decode()


def told_apart(first: list[float], second: list[float]) -> float:
    """Return how often the one of `second` is the slower of two drawn at random: 0.5 where both are alike."""
    wins = sum((b > a) + (b == a) / 2 for a in first for b in second)
    return wins / (len(first) * len(second))


async def forms(town: Town) -> dict[str, Ask]:
    """Return each form that could be an oracle."""
    return {
        "sign-up": town.form("/sign-up", {"password": PASSWORD}),
        "new-password": town.form("/new-password", {}),
        "sign-in": town.form("/sign-in", {"password": "not the one that it has, no"}),
        "change of address": await town.change_of_address(),
        "sign-up with an invitation": await town.invited(),
        "mail again": town.resend,
        "back from another site": town.other_site,
    }


async def measure(town: Town, name: str, asked: Ask, pairs: int) -> tuple[list[float], list[float]]:
    """Return the seconds of the answers for known and for new addresses, asked in turn, a new pair each time."""
    known: list[float] = []
    new: list[float] = []
    word, client = re.sub(r"\W+", "-", name), 0
    for number in range(-WARM, pairs):
        names = [f"{side}-{word}-{number + WARM}@example.org" for side in ("known", "fresh")]
        add_accounts(town.stage.postgres.url, names[:1])
        sides = list(zip((known, new), names, strict=True))
        for seconds, email in sides if number % 2 else reversed(sides):
            client += 1
            answer = await asked(client, email)
            assert answer.status == REFUSED.get(name, 303), answer.text
            if number >= 0:
                seconds.append(answer.seconds)
    return known, new


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answer_times", description=__doc__)
    parser.add_argument("--pairs", type=int, default=500, help="pairs of each form")
    parser.add_argument("--form", help="a word of the form's name")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, asyncio.Runner() as loop:
        stage = Stage(stack, Path(folder))
        provider = stack.enter_context(running_provider())
        with app(stage, free_port(), OIDC_PROVIDERS=provider.setting("site")) as running:
            town = Town(stage, running.port, provider)
            for name, asked in loop.run(forms(town)).items():
                if told.form and told.form not in name:
                    continue
                known, new = loop.run(measure(town, name, asked, told.pairs))
                spread = 1.96 * math.sqrt((2 * told.pairs + 1) / (12 * told.pairs**2))
                medians = " and ".join(f"{statistics.median(side) * 1000:.1f} ms" for side in (known, new))
                print(
                    f"{name}: {told.pairs} pairs, known and new {medians}; "
                    f"told apart {told_apart(known, new):.3f} (equal: 0.5 ± {spread:.3f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
