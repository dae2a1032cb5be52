"""Jinja with `{% trans %}` and `_()`. Line breaks and indentation inside a `{% trans %}` block do not count."""

import re
import textwrap
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from mailroom.i18n.columns import is_wide
from mailroom.i18n.languages import current, direction
from mailroom.i18n.messages import translated, translated_in, translated_plural

TEXT_WIDTH = 72
"""Characters of a line in the text part of a mail."""
PARAMETER_WIDTH = 27
"""Characters that a parameter is counted as: as many as a usual address or date has."""
PARAMETER = re.compile(r"%\(\w+\)s")
PAD = "\ue002"
"""A private-use character of Unicode, which no sentence contains."""


def translate_templates(environment: Environment) -> None:
    """Have the templates of `environment` use the language that is current while they are rendered."""
    _install(environment, lambda _context, text: text)


def translate_mail_templates(environment: Environment) -> None:
    """Do the same for mails. Paragraphs of text parts are wrapped; HTML (escaped by itself) is left as it is.

    Chinese is not wrapped: it has no spaces where a line could break, and mail clients break it at their width.
    Paragraphs are wrapped before the parameters are filled in, so that lines break in the same places whatever the
    values are. Compiled templates need that (`mail/rendering/compiled_template.py`).
    """
    _install(environment, _wrapped)


def _wrapped(context: EvalContext, text: str) -> str:
    if context.autoescape:
        return text
    if any(map(is_wide, text)):
        return " ".join(text.split())
    wide = PARAMETER.sub(lambda found: found[0].ljust(PARAMETER_WIDTH, PAD), text)
    filled = textwrap.fill(wide, TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)
    return filled.replace(PAD, "")


def _install(environment: Environment, form: Callable[[EvalContext, str], str]) -> None:
    """Give the templates `{% trans %}` and its functions; `form` is given each message before it is filled in.

    Jinja's own functions fill in every message, also those without parameters, which costs as much as all the rest
    of a page.
    """

    def filled(context: EvalContext, text: str, parameters: dict[str, Any]) -> str:
        text = form(context, text)
        if context.autoescape:
            text = Markup(text)  # noqa: S704  # our own sentence; its parameters are escaped
        return text % parameters if parameters or "%" in text else text

    @pass_eval_context
    def gettext(context: EvalContext, message: str, /, **parameters: Any) -> str:
        return filled(context, translated(message), parameters)

    @pass_eval_context
    def ngettext(context: EvalContext, singular: str, plural: str, number: int, /, **parameters: Any) -> str:
        return filled(context, translated_plural(singular, plural, number), {"num": number, **parameters})

    @pass_eval_context
    def pgettext(context: EvalContext, kind: str, message: str, /, **parameters: Any) -> str:
        return filled(context, translated_in(kind, message), parameters)

    environment.add_extension("jinja2.ext.i18n")
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.policies["ext.i18n.trimmed"] = True
    environment.globals.update(_=gettext, gettext=gettext, ngettext=ngettext, pgettext=pgettext)
    environment.globals.update(language=current, direction=direction)
