"""The language of the shell: what the terminal's locale asks for. The help of commands is translated here, too."""

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import click

from mailroom.i18n import languages
from mailroom.i18n.messages import gettext, gettext_noop, translated

CLICKS = {gettext_noop("Options"), gettext_noop("Commands"), gettext_noop("Show this message and exit.")}
NAMES = ("LC_ALL", "LC_MESSAGES", "LANG")


def terminal_language(environment: Mapping[str, str] = os.environ) -> str:
    """Return the shipped language that suits the locale. LANGUAGE goes before it, as GNU gettext has it."""
    locale = next((environment[name] for name in NAMES if environment.get(name)), "C").partition(".")[0]
    if locale in {"C", "POSIX"}:
        return languages.DEFAULT
    wanted = [*environment.get("LANGUAGE", "").split(":"), locale]
    return languages.best_of(one.partition(".")[0].partition("@")[0] for one in wanted if one)


class Help(click.HelpFormatter):
    """Writes click's own words of a help in the current language."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how a command is called."""
        usage = gettext("Usage:")
        super().write_usage(prog, args, f"{usage} " if prefix is None else prefix)

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Write a heading, and what follows inside the block indented."""
        with super().section(translated(name) if name in CLICKS else name):
            yield

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of two columns."""
        said = [(name, translated(text) if text in CLICKS else text) for name, text in rows]
        super().write_dl(said, col_max, col_spacing)


def translate_help(command: click.Command) -> None:
    """Put the help of a command, of its options and of the commands below it into the current language.

    Their English stands in docstrings and in `help`, where `i18n/extraction.py` finds it.
    """
    click.Context.formatter_class = Help
    command.help = translated(inspect.cleandoc(command.help)) if command.help else command.help
    command.epilog = translated(command.epilog) if command.epilog else command.epilog
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.help:
            parameter.help = translated(parameter.help)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            translate_help(one)
