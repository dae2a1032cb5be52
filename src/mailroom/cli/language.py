"""The language of the shell: what the terminal's locale asks for. The help of commands is translated here, too.

What click itself says is in `click_words.py`.
"""

import inspect
import os
from collections.abc import Mapping

import click

from mailroom.i18n import languages
from mailroom.i18n.messages import translated

NAMES = ("LC_ALL", "LC_MESSAGES", "LANG")


def terminal_language(environment: Mapping[str, str] = os.environ) -> str:
    """Return the shipped language that suits the locale. LANGUAGE comes before the locale, as in GNU gettext."""
    locale = next((environment[name] for name in NAMES if environment.get(name)), "C").partition(".")[0]
    if locale in {"C", "POSIX"}:
        return languages.DEFAULT
    wanted = [*environment.get("LANGUAGE", "").split(":"), locale]
    return languages.best_of(one.partition(".")[0].partition("@")[0] for one in wanted if one)


def translate_help(command: click.Command) -> None:
    """Put the help of a command, of its options and of the commands below it into the current language.

    The English texts are in docstrings and in `help`, where `i18n/extraction.py` finds them.
    """
    command.help = translated(inspect.cleandoc(command.help)) if command.help else command.help
    command.epilog = translated(command.epilog) if command.epilog else command.epilog
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.help:
            parameter.help = translated(parameter.help)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            translate_help(one)
