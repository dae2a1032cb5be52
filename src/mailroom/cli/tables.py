"""The one way to print a list: a table in a terminal, and lines of fields separated by tabs in a pipe."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import click

from mailroom.i18n.columns import padded, places
from mailroom.i18n.messages import translated

NARROW = 110
"""Width of a terminal below which a table leaves out the columns that are not `needed`."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading (marked, and translated only in a table), and how it looks there."""

    name: str
    whole: bool = False
    """Whether it is never cut short."""
    needed: bool = True
    """Whether a narrow table has it, too."""
    colour: Callable[[str], str] = lambda _text: ""


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print labels (translated) and their values, one a line, the values below each other."""
    lines = list(facts)
    widest = max(places(label) for label, _ in lines)
    for label, value in lines:
        click.echo(f"  {padded(label, widest)} {value}")


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print the rows. In a table, columns without any text are left out. The texts must be clean already."""
    if not sys.stdout.isatty():
        for row in ([column.name for column in columns], *rows):
            click.echo("\t".join(row))
        return
    if not rows:
        return
    # 3 MB, which `mailroom web` and `mailroom worker` would load with the shell's commands.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    narrow = console.width < NARROW
    shown = [
        (number, column)
        for number, column in enumerate(columns)
        if any(row[number] for row in rows) and (column.needed or not narrow)
    ]
    for number, column in shown:
        name = translated(column.name)
        widest = max(places(name), *(places(row[number]) for row in rows))
        table.add_column(name, no_wrap=True, min_width=widest if column.whole else None)
    for row in rows:
        table.add_row(*(Text(row[number], style=column.colour(row[number])) for number, column in shown))
    console.print(table)
