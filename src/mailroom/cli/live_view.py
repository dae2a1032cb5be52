"""A task on its way: a progress bar in a terminal, otherwise a line for each change."""

import sys
from datetime import datetime
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from mailroom.cli.state_colours import state_colour
from mailroom.i18n.formats import counted, listed, pace, until
from mailroom.i18n.messages import gettext
from mailroom.i18n.sentences import message_of
from mailroom.kit import clock
from mailroom.kit.text import clean
from mailroom.progress.share import share_of
from mailroom.progress.snapshot import Snapshot


def words_of(shown: Snapshot) -> str:
    """Return where it is, in one line; text from outside cannot control the terminal."""
    error = shown.error or {}
    message = message_of({"message": shown.message, "message_code": shown.message_code, "params": shown.params})
    code = " ".join(str(error[key]) for key in ("code", "enhanced") if error.get(key))
    parts = [shown.stage if shown.state == "sending" else message, message_of(error), code]
    if shown.retry_at:
        when = until(datetime.fromisoformat(shown.retry_at), clock.now())
        parts.insert(0, gettext("next try %(when)s", when=when))
    said = "; ".join(str(part) for part in parts if part)
    return clean(f"{shown.state}: {said}" if said else shown.state)


def numbers_of(shown: Snapshot) -> str:
    """Return how far it is in numbers: "1,200 of 3,400, 12 a second, about 3 min left"."""
    going = "" if shown.final else pace(shown.rate, shown.eta)
    return listed(filter(None, (counted(shown.current, shown.total), going)))


class _Numbers(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return how far it is."""
        return Text(task.fields.get("numbers", ""), style="dim")


class LiveView:
    """Shows snapshots of one task as they come, for the length of a `with` block."""

    def __init__(self, title: str) -> None:
        self._title = clean(title)
        self._said = ""
        self._bar: Progress | None = None
        if sys.stdout.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), _Numbers(), console=Console(), refresh_per_second=10
            )
            self._row = self._bar.add_task(self._title, total=None, numbers="")

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop drawing; the last state stays on the screen."""
        if self._bar:
            self._bar.stop()

    def show(self, shown: Snapshot) -> None:
        """Draw one snapshot."""
        words, numbers = words_of(shown), numbers_of(shown)
        if self._bar is None:
            line = f"{words} ({numbers})" if numbers else words
            if line != self._said:
                click.echo(line)
            self._said = line
            return
        share = share_of(shown.public())
        colour = state_colour(shown.state) or "default"
        self._bar.update(
            self._row,
            description=f"[bold]{Text(self._title).markup}[/]  [{colour}]{Text(words).markup}[/]",
            total=None if share is None else 1.0,
            completed=share or 0.0,
            numbers=numbers,
        )
