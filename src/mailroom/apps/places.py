"""Imports what an app names by a text (``"acme.web:blueprint"``); an error says in a sentence why that failed."""

import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import mailroom
from mailroom.i18n.messages import gettext
from mailroom.settings.errors import SettingsError

OURS = Path(mailroom.__file__).parent


def module_of(name: str, who: str) -> ModuleType:
    """Return a module, imported. Raises `SettingsError`; `who` named it (``MAILROOM_APPS``)."""
    try:
        return import_module(name)
    except Exception as error:
        missing = (isinstance(error, ModuleNotFoundError) and error.name) or ""
        if missing and (name == missing or name.startswith(f"{missing}.")):
            words = gettext(
                "%(who)s names %(module)s, and there is no module %(missing)s. Is it installed for %(python)s?",
                who=who,
                module=name,
                missing=missing,
                python=sys.executable,
            )
        else:
            words = gettext(
                "%(who)s names %(module)s, which cannot be imported: %(error)s (%(place)s).",
                who=who,
                module=name,
                error=f"{type(error).__name__}: {error}",
                place=_place(error),
            )
        raise SettingsError([words]) from error


def thing_of(place: str, who: str) -> Any:
    """Return the object at ``module:name``. Raises `SettingsError`."""
    module, _, name = place.partition(":")
    found = getattr(module_of(module, who), name, None)
    if found is None:
        words = gettext(
            "%(who)s names %(place)s, and %(module)s has no %(name)s.",
            who=who,
            place=place,
            module=module,
            name=name,
        )
        raise SettingsError([words])
    return found


def _place(error: Exception) -> str:
    """Return file and line of the innermost code that is neither Mailroom's nor Python's own machinery."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    theirs = [frame for frame in frames if not Path(frame.filename).is_relative_to(OURS)]
    frame = (theirs or frames)[-1]
    return f"{frame.filename}, line {frame.lineno}"
