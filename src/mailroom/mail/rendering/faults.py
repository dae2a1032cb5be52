"""Where a mail could not be rendered, for operators: template, line and variable, and never a value or a link."""

import re
import traceback
from collections.abc import Iterable
from pathlib import Path

import jinja2
from jinja2 import meta

NAME = re.compile(r"'([A-Za-z_]\w*)'")
"""A name in the message of jinja2's UndefinedError: ``'nme' is undefined``, ``'…' has no attribute 'b'``."""


def explain(error: Exception, kind: str, environment: jinja2.Environment, known: Iterable[str]) -> str:
    """Return in one line where and why a mail of this kind was not rendered; `known`: its variables' names."""
    place = _template_of(error, environment)
    if place is None:
        return f"{kind}: {type(error).__name__} in {_code_of(error)}"
    name, line = place
    variables = _variables_of(error, environment, name, known)
    about = f", variable {', '.join(variables)}" if variables else ""
    return f"template {name}, line {line}{about}: {type(error).__name__}"


def _template_of(error: Exception, environment: jinja2.Environment) -> tuple[str, int] | None:
    """Return the innermost template that the error comes from, and its line."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.name or "?", error.lineno
    if isinstance(error, jinja2.TemplateNotFound):
        return str(error.name), 0
    folders = [Path(folder) for folder in getattr(environment.loader, "searchpath", [])]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):  # jinja2 puts its templates' lines there
        for folder in folders:
            if Path(frame.filename).is_relative_to(folder):
                return str(Path(frame.filename).relative_to(folder)), frame.lineno or 0
    return None


def _variables_of(error: Exception, environment: jinja2.Environment, name: str, known: Iterable[str]) -> list[str]:
    """Return the names that the error is about, if they are in the template: other names may be values."""
    if not isinstance(error, jinja2.UndefinedError) or environment.loader is None:
        return []
    source, _, _ = environment.loader.get_source(environment, name)
    unknown = meta.find_undeclared_variables(environment.parse(source)) - set(known)
    said = NAME.findall(str(error))
    written = set(re.findall(r"[A-Za-z_]\w*", " ".join(re.findall(r"\{[{%](.*?)[}%]\}", source, re.DOTALL))))
    return [one for one in said if one in unknown] or [one for one in said[-1:] if one in written]


def _code_of(error: Exception) -> str:
    """Return file and line of the innermost code of Mailroom's, or of an app's."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    if not ours:
        return "code that left no trace"
    frame = ours[-1]
    return f"{'/'.join(Path(frame.filename).parts[-2:])}, line {frame.lineno}"
