"""From a row to the bytes DATA takes, beside the same mail through Jinja and the standard library."""

import asyncio
import os
import timeit
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from benchmarks.least_many import renderer_of
from benchmarks.stage import Row, Stage
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import MailRow
from mailroom.mail.rendering.renderer import Envelope


def each(render: Callable[[MailRow], Envelope], rows: Sequence[MailRow]) -> None:
    """Render one after the other, keeping none, as a worker does: it has as many at hand as connections."""
    for row in rows:
        render(row)


def measure(stage: Stage, _loop: asyncio.Runner) -> list[Row]:
    settings = stage.settings(25)
    renderer = renderer_of(settings)
    params = {"sign_up": "0", "browser": "Firefox on Linux"}
    now, nonce = datetime.now(UTC), os.urandom(16)
    rows = [
        MailRow(new_id(), "confirm_sign_up", f"person-{number}@example.org", params, nonce, now)
        for number in range(500)
    ]
    short = min(timeit.repeat(lambda: each(renderer.render, rows), number=1, repeat=9)) / len(rows)
    some = rows[:50]
    long = min(timeit.repeat(lambda: each(renderer.render_the_long_way, some), number=1, repeat=3)) / len(some)
    return [
        Row(
            "rendering a mail, with its link and code",
            f"{short * 1e6:.0f} µs",
            f"Jinja and EmailMessage {long * 1e6:.0f} µs",
            f"{long / short:.0f} times",
            "under 50 µs",
        )
    ]
