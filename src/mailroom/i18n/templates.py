"""Jinja with `{% trans %}` and `_()`. Line breaks and indentation inside a `{% trans %}` block do not count."""

import re
import textwrap

from jinja2 import Environment, pass_eval_context
from jinja2.nodes import EvalContext

from mailroom.i18n.languages import current, direction
from mailroom.i18n.messages import translated, translated_in, translated_plural

TEXT_WIDTH = 72
"""Characters of a line in the text part of a mail."""
PARAMETER_WIDTH = 27
"""Characters that a parameter is counted as: as many as a usual address or date has."""
PARAMETER = re.compile(r"%\(\w+\)s")
PAD = "\ue002"
"""A private character of Unicode, which no sentence has."""


def translate_templates(environment: Environment) -> None:
    """Have the templates of `environment` speak the language that is current while they are rendered."""
    _install(environment, translated, translated_plural)


def translate_mail_templates(environment: Environment) -> None:
    """Do the same for mails. Paragraphs of text parts are wrapped; HTML (escaped by itself) is left as it is.

    They are wrapped before the parameters are filled in, so that the same lines break whatever the values are:
    only so can a template be compiled (`mail/rendering/compiled_template.py`).
    """

    @pass_eval_context
    def one(context: EvalContext, message: str) -> str:
        return _wrapped(context, translated(message))

    @pass_eval_context
    def many(context: EvalContext, singular: str, plural: str, number: int) -> str:
        return _wrapped(context, translated_plural(singular, plural, number))

    _install(environment, one, many)


def _wrapped(context: EvalContext, text: str) -> str:
    if context.autoescape:
        return text
    wide = PARAMETER.sub(lambda found: found[0].ljust(PARAMETER_WIDTH, PAD), text)
    filled = textwrap.fill(wide, TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)
    return filled.replace(PAD, "")


def _install(environment: Environment, one: object, many: object) -> None:
    environment.add_extension("jinja2.ext.i18n")
    environment.globals.update(language=current, direction=direction)
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(one, many, newstyle=True, pgettext=translated_in)  # type: ignore[attr-defined]
