"""The shell speaks the terminal's language, in its help and in its sentences."""

import ast
import copy
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner

from mailroom.cli import click_words
from mailroom.cli.commands import shell
from mailroom.cli.language import terminal_language, translate_help
from mailroom.i18n import languages
from mailroom.ops.doctor.findings import good
from mailroom.ops.doctor.report import _verdict


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "de_AT.UTF-8"}, "de"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "de_DE@euro"}, "de"),
        ({"LANG": "fr_FR.UTF-8", "LANGUAGE": "it:de"}, "de"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "de"}, "en"),
        ({"LC_ALL": "POSIX"}, "en"),
        ({}, "en"),
    ],
)
def test_the_locale_says_which_language_is_spoken(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "shipped", lambda: ("en", "de"))
    assert terminal_language(environment) == language


def commands(group: click.Command) -> Iterator[click.Command]:
    yield group
    if isinstance(group, click.Group):
        for command in group.commands.values():
            yield from commands(command)


@pytest.fixture
def everything() -> click.Group:
    """The shell, which a test may translate: as in a new process, for click keeps the words of `--help`."""
    entrypoints: Any = None
    everything = copy.deepcopy(shell(entrypoints))
    for command in commands(everything):
        command._help_option = None
    return everything


def helps(group: click.Group) -> list[str]:
    found = [command.help for command in commands(group)] + [group.epilog]
    for command in commands(group):
        found += [option.help for option in command.params if isinstance(option, click.Option)]
    return [text for text in found if text]


def test_the_help_of_every_command_and_option_is_shown_in_the_language_of_the_terminal(
    everything: click.Group, pseudo: str, unmarked: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", f"{pseudo.replace('-', '_')}.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    with languages.speaking(languages.DEFAULT):  # the command speaks another one, and goes on to
        run = CliRunner().invoke(everything, ["mails", "--help"])
    assert run.exit_code == 0
    assert len(helps(everything)) > 50
    with languages.speaking(pseudo):
        translate_help(everything)  # what was translated already stays
    left = [text for text in helps(everything) if any(re.search(r"\w{3}", piece) for piece in unmarked(text))]
    assert left == []


def test_in_german_the_shell_is_german(everything: click.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.delenv("LANGUAGE", raising=False)
    with languages.speaking(languages.DEFAULT):
        run = CliRunner().invoke(everything, ["keys", "--help"])
    assert run.exit_code == 0
    for english in ("Create, list and revoke", "Show this message", "Make a key", "List the keys"):
        assert english not in run.output
    assert "Schlüssel" in run.output


def test_a_verdict_of_the_doctor_is_translated(pseudo: str, unmarked: Callable[[str], list[str]]) -> None:
    with languages.speaking(pseudo):
        said = _verdict([good("x", "y")])
    assert said != "All is well."
    assert not any(re.search(r"\w{3}", piece) for piece in unmarked(said))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mails", "--nope"], "Die Option '--nope' gibt es nicht."),
        (["frobnicate"], "Den Befehl 'frobnicate' gibt es nicht."),
        (["keys", "create"], "Es fehlt das Argument 'NAME'."),
        (["keys", "create", "Shop", "--scope", "all"], "Ungültiger Wert für '--scope': 'all' ist keines von '"),
        (["keys", "create", "Shop", "--days", "0"], "0 liegt nicht im Bereich 1<=x<=36500."),
        (["keys", "create", "Shop", "more"], "Ein Argument ist zu viel (more)"),
        (["mails", "--limit"], "Die Option '--limit' braucht einen Wert."),
    ],
)
def test_an_error_of_usage_is_german_where_the_terminal_is(
    arguments: list[str], said: str, everything: click.Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.delenv("LANGUAGE", raising=False)
    with languages.speaking(languages.DEFAULT):
        run = CliRunner().invoke(everything, arguments)
    assert run.exit_code == 2
    assert said in run.output and "Fehler: " in run.output
    for english in ("Error", "Usage", "Try ", "No such", "Missing", "Invalid"):
        assert english not in run.output, english


FOR_PROGRAMMERS = re.compile(
    r"^(Could not determine|No options defined|Arguments take exactly|Name '|Boolean option|Value must be"
    r"|DeprecationWarning|Unknown color|Choice\(|deprecated$|Do you want to continue|Confirm the action"
    r"|%\(prog\)s, version|Show the version|Press any key|Repeat for|Error: The two|Positional arguments"
    r"|Invalid start character)"
)
"""What click says of commands that are wrongly made, or of what our shell does not use."""


def test_all_that_click_may_say_to_a_user_is_in_the_catalogues() -> None:
    known = click_words.SAID | {one for forms in click_words.SAID_OF_NUMBERS for one in forms}
    found: set[str] = set()
    for module in click_words.MODULES:
        assert {"_", "ngettext"} & vars(module).keys(), f"{module.__name__} says it in another way"
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"_", "ngettext"}
            ):
                words = node.args[: 2 if node.func.id == "ngettext" else 1]
                found |= {str(one.value) for one in words if isinstance(one, ast.Constant)}
    assert len(found) > 50
    assert {text for text in found - known if not FOR_PROGRAMMERS.match(text)} == set()
