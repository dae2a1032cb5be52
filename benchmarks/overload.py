"""Signing in while 400 people sign up at once: `python -m benchmarks.overload`.

Each lane (sign-ups, sign-ins) has a bounded queue of its own. What would wait too long gets 503 with Retry-After
at once. Prints the seconds of sign-ins and of /healthz, asked four times a second, and what the sign-ups got. The
client runs on the same cores.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from benchmarks.people import PASSWORD, Answer, add_accounts, ask
from benchmarks.sign_ups import app
from benchmarks.stage import Stage
from mailroom.ops.embedded.ports import free_port

MEMBERS = [f"member{number}@example.org" for number in range(100)]
OFTEN = 0.25
"""Seconds between two looks."""


async def measure(port: int, crowd: int) -> dict[str, list[Answer]]:
    """Have `crowd` people sign up at once; return the answers of each kind."""
    found: dict[str, list[Answer]] = {"sign-up": [], "sign-in": [], "healthz": []}

    async def keep(kind: str, client: int, path: str, form: dict[str, str] | None = None) -> None:
        found[kind].append(await ask(port, client, path, form))

    def sign_up(number: int) -> dict[str, str]:
        return {"email": f"p{number}@example.org", "password": PASSWORD}

    def sign_in(number: int) -> dict[str, str]:
        return {"email": MEMBERS[number % len(MEMBERS)], "password": PASSWORD}

    for number in range(8):
        await keep("sign-in", number, "/sign-in", sign_in(number))  # warm
    found["sign-in"].clear()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(keep("sign-up", 1000 + n, "/sign-up", sign_up(n))) for n in range(crowd)]
        number = 8
        while not all(one.done() for one in waiting):
            group.create_task(keep("sign-in", number, "/sign-in", sign_in(number)))
            group.create_task(keep("healthz", number, "/healthz"))
            number += 1
            await asyncio.sleep(OFTEN)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--crowd", type=int, default=400, help="how many sign up at once")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, asyncio.Runner() as loop:
        stage = Stage(stack, Path(folder))
        add_accounts(stage.postgres.url, MEMBERS)
        with app(stage, free_port()) as running:
            found = loop.run(measure(running.port, told.crowd))
    for kind, answers in found.items():
        for status, count in sorted(Counter(one.status for one in answers).items()):
            seconds = [one.seconds for one in answers if one.status == status]
            median, longest = statistics.median(seconds), max(seconds)
            print(f"{kind:8} {status}: {count:4}, median {median:.2f} s, longest {longest:.2f} s")


if __name__ == "__main__":
    main()
