"""Do answers tell by their time whether an address has an account? `python -m benchmarks.answer_times`.

Asks each form for a known address and for a new one in turn, each time by another client. Prints the medians, and
how well one answer tells the two apart: 0.5 is a guess, 1.0 is always right (the area under the ROC curve,
Mann-Whitney's U). 95 of 100 runs of two equal sides lie within the range beside it.
"""

import argparse
import asyncio
import math
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.people import PASSWORD, add_accounts, ask
from benchmarks.sign_ups import app
from benchmarks.stage import Stage
from mailroom.ops.embedded.ports import free_port

FORMS = {
    "/sign-up": {"password": PASSWORD},
    "/new-password": {},
    "/sign-in": {"password": "not the one that it has, no"},
}


def told_apart(first: list[float], second: list[float]) -> float:
    """Return how often the one of `second` is the slower of two drawn at random: 0.5 where both are alike."""
    wins = sum((b > a) + (b == a) / 2 for a in first for b in second)
    return wins / (len(first) * len(second))


async def measure(stage: Stage, port: int, path: str, pairs: int) -> tuple[list[float], list[float]]:
    """Return the seconds of the answers for known and for new addresses, asked in turn, a new pair each time."""
    known: list[float] = []
    new: list[float] = []
    client = 0
    for number in range(-5, pairs):
        name = f"{path[1:]}-{number + 5}"
        add_accounts(stage.postgres.url, [f"known-{name}@example.org"])
        sides = [(known, f"known-{name}@example.org"), (new, f"fresh-{name}@example.org")]
        for seconds, email in sides if number % 2 else reversed(sides):
            client += 1
            answer = await ask(port, client, path, {"email": email, **FORMS[path]})
            assert answer.status in {303, 401, 403, 422}, answer.text
            if number >= 0:
                seconds.append(answer.seconds)
    return known, new


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answer_times", description=__doc__)
    parser.add_argument("--pairs", type=int, default=345, help="pairs of each form")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, asyncio.Runner() as loop:
        stage = Stage(stack, Path(folder))
        with app(stage, free_port()) as running:
            for path in FORMS:
                known, new = loop.run(measure(stage, running.port, path, told.pairs))
                spread = 1.96 * math.sqrt((2 * told.pairs + 1) / (12 * told.pairs**2))
                medians = " and ".join(f"{statistics.median(side) * 1000:.1f} ms" for side in (known, new))
                print(
                    f"{path}: {told.pairs} pairs, known and new {medians}; "
                    f"told apart {told_apart(known, new):.3f} (equal: 0.5 ± {spread:.3f})"
                )


if __name__ == "__main__":
    main()
