"""click's own words in the terminal's language: headings of a help, errors of usage, questions.

Internals that this relies on: click's modules import `gettext` as `_`, and `ngettext`, and look both up when they
say something. Python's own gettext takes the language from the environment alone, and wants a folder of that very
name; ours speaks `zh-Hans` if the terminal asks for `zh_CN`. The gain: an error of usage is in the language
of the help. At an upgrade: `tests/unit/cli/test_language.py` finds texts that are new in click.
"""

from typing import Any

from click import core, decorators, exceptions, formatting, parser, termui, types

from mailroom.i18n.messages import gettext_noop as _
from mailroom.i18n.messages import ngettext_noop, translated, translated_plural

MODULES: tuple[Any, ...] = (core, decorators, exceptions, formatting, parser, termui, types)
SAID = {
    _("(dynamic)"),
    _("Aborted!"),
    _("Argument {name!r} takes {nargs} values."),
    _("Choose from:\n\t{choices}"),
    _("Commands"),
    _("Could not open file {filename!r}: {message}"),
    _("Error: invalid input"),
    _("Error: {message}"),
    _("Invalid value for {param_hint}: {message}"),
    _("Invalid value: {message}"),
    _("Missing argument"),
    _("Missing command."),
    _("Missing option"),
    _("Missing parameter"),
    _("Missing parameter: {param_name}"),
    _("Missing {param_type}"),
    _("No such command {name!r}."),
    _("No such option {name!r}."),
    _("Option {name!r} does not take a value."),
    _("Options"),
    _("Show this message and exit."),
    _("Try '{command} {option}' for help."),
    _("Usage:"),
    _("default: {default}"),
    _("directory"),
    _("env var: {var}"),
    _("file"),
    _("path"),
    _("required"),
    _("unknown error"),
    _("{name} {filename!r} does not exist."),
    _("{name} {filename!r} is a directory."),
    _("{name} {filename!r} is a file."),
    _("{name} {filename!r} is not executable."),
    _("{name} {filename!r} is not readable."),
    _("{name} {filename!r} is not writable."),
    _("{value!r} is not a valid UUID."),
    _("{value!r} is not a valid boolean. Recognized values: {states}"),
    _("{value!r} is not a valid {number_type}."),
    _("{value} is not in the range {range}."),
}
"""What click may say to a user of ours."""
SAID_OF_NUMBERS = {
    ngettext_noop("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    ngettext_noop("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ngettext_noop("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    ngettext_noop(
        "Takes {nargs} values but 1 was given.",
        "Takes {nargs} values but {len} were given.",
    ),
    ngettext_noop("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    ngettext_noop(
        "{value!r} does not match the format {format}.", "{value!r} does not match the formats {formats}."
    ),
    ngettext_noop(
        "{len_type} values are required, but {len_value} was given.",
        "{len_type} values are required, but {len_value} were given.",
    ),
}


def translate_click() -> None:
    """Have click speak the current language, whichever it is when it says something."""
    for module in MODULES:
        for name, ours in (("_", translated), ("ngettext", translated_plural)):
            if hasattr(module, name):
                setattr(module, name, ours)
