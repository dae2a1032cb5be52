"""Collects marked messages and keeps the catalogues: `make messages`.

python -m mailroom.i18n.extraction [LANGUAGE …] brings every catalogue up to date and compiles it; a language named
there that has no catalogue gets one first. Translators edit the `.po`; the `.mo` beside it is what runs.
"""

import ast
import inspect
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir, extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from mailroom.i18n.languages import CATALOGUES
from mailroom.i18n.messages import DOMAIN

SOURCE = Path(__file__).parents[1]
SHELL = "mailroom.i18n.extraction:extract_shell"
METHODS = [
    ("**/templates/**.html", "jinja2"),
    ("**/templates/**.txt", "jinja2"),
    ("cli/**.py", SHELL),
    ("**.py", "python"),
]
KEYWORDS = {**DEFAULT_KEYWORDS, "gettext_noop": None, "ngettext_noop": (1, 2)}
OPTIONS = {"jinja2": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}
COMMENT = "Translators:"
"""A comment that begins with this, just before a message, is handed on to translators."""


def extract_shell(
    file: IO[bytes], keywords: Mapping[str, Any], comment_tags: Sequence[str], options: Any
) -> Iterator[tuple[int, str | None, Any, list[str]]]:
    """Find what is marked in a module of the shell, and the help of its commands, as Babel asks for it.

    The help is in the docstrings of commands and in `help` and `epilog`, which need no mark.
    """
    source = file.read()
    found: Iterator[Any] = extract_python(io.BytesIO(source), keywords, comment_tags, options)
    yield from found
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and any(map(_makes_command, node.decorator_list)):
            if text := ast.get_docstring(node):
                yield node.lineno, None, text, []
        elif (
            isinstance(node, ast.keyword)
            and node.arg in {"help", "epilog"}
            and isinstance(node.value, ast.Constant)
        ):
            yield node.value.lineno, None, inspect.cleandoc(str(node.value.value)), []


def _makes_command(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr in {"command", "group"}


def collect(source: Path = SOURCE) -> Catalog:
    """Return every message marked below `source`, with the files it is in."""
    catalogue = Catalog(project="Mailroom", charset="utf-8", fuzzy=False)
    options = {pattern: OPTIONS.get(method, {}) for pattern, method in METHODS}
    found = extract_from_dir(
        source, METHODS, options, keywords=KEYWORDS, comment_tags=[COMMENT], strip_comment_tags=True
    )
    for name, _line, message, comments, context in found:
        if message:
            catalogue.add(message, locations=[(name, 0)], auto_comments=comments, context=context)
    return catalogue


def files(folder: Path = CATALOGUES) -> Iterator[Path]:
    """Yield the `.po` of every language there is."""
    yield from sorted(folder.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def begin(language: str, folder: Path = CATALOGUES) -> Path:
    """Make an empty catalogue for a language if it has none, and return its file."""
    name = language.replace("-", "_")
    file = folder / name / "LC_MESSAGES" / f"{DOMAIN}.po"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_po(Catalog(locale=name, project="Mailroom", charset="utf-8", fuzzy=False)))
    return file


def update(file: Path, messages: Catalog) -> Catalog:
    """Bring one catalogue up to date with `messages`, compile it and return it.

    Messages that are no longer used are removed. A changed message is a new one: its translation is not guessed.
    """
    catalogue = read(file)
    catalogue.update(messages, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    text = _po(catalogue)
    if _without_date(text) != _without_date(file.read_bytes()):
        file.write_bytes(text)
    file.with_suffix(".mo").write_bytes(compiled(read(file)))  # with the date in the file, not today's
    return catalogue


def compiled(catalogue: Catalog) -> bytes:
    """Return a catalogue as `gettext` reads it."""
    made = io.BytesIO()
    write_mo(made, catalogue)
    return made.getvalue()


def read(file: Path) -> Catalog:
    """Return a catalogue as its file has it."""
    with file.open("rb") as opened:
        return read_po(opened, locale=file.parts[-3], charset="utf-8")


def _po(catalogue: Catalog) -> bytes:
    made = io.BytesIO()
    write_po(made, catalogue, width=100, sort_by_file=True, include_lineno=False)
    return made.getvalue()


def _without_date(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if b"-Creation-Date:" not in line]


def main(languages: list[str]) -> None:
    """Do what `make messages` promises, and say how much is left to translate."""
    for language in languages:
        begin(language)
    messages = collect()
    print(f"{len(messages)} messages")  # noqa: T201  # the user of make messages reads it
    for file in files():
        catalogue = update(file, messages)
        left = sum(1 for message in catalogue if message.id and not message.string)
        print(f"{file.parts[-3]}: {left} left to translate")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
