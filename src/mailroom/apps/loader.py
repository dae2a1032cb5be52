"""Finds and loads apps: those that MAILROOM_APPS names, and those of installed packages (`mailroom.apps`)."""

from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from mailroom.apps.app import App
from mailroom.apps.installed import Apps, InstalledApp
from mailroom.apps.places import module_of, thing_of
from mailroom.i18n.messages import add_catalogue, gettext
from mailroom.i18n.sentences import add_sentences
from mailroom.mail.rendering.compiled_template import PARTS
from mailroom.settings.app_settings import load_app_settings
from mailroom.settings.errors import SettingsError

GROUP = "mailroom.apps"
"""The entry point group of apps."""


@lru_cache(maxsize=8)
def load(named: str) -> Apps:
    """Return the apps that `named` (MAILROOM_APPS) names, then those of installed packages.

    Each is loaded once in a process; its translations and sentences are known from then on. Raises `SettingsError`
    that names every problem.
    """
    found, problems = list[InstalledApp](), list[str]()
    for place, who in _places(named):
        try:
            one = _loaded(place, who)
            if one.app not in [other.app for other in found]:
                _refuse_twins(one, found)
                found.append(one)
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    for one in found:
        add_sentences(one.app.sentences)
        if (folder := one.folder / "catalogues").is_dir():
            add_catalogue(one.name, folder)
    return Apps(tuple(found))


def _places(named: str) -> Iterator[tuple[str, str]]:
    """Yield the place (``module:name``) of each app, and the setting or package that names it."""
    for part in filter(None, (part.strip() for part in named.split(","))):
        yield part if ":" in part else f"{part}:app", "MAILROOM_APPS"
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        who = f"{point.dist.name} ({GROUP})" if point.dist else GROUP
        yield point.value if ":" in point.value else f"{point.value}:app", who


def _loaded(place: str, who: str) -> InstalledApp:
    app, module = thing_of(place, who), module_of(place.partition(":")[0], who)
    if not isinstance(app, App):
        words = gettext("%(who)s names %(place)s, which is no App of mailroom.api.", who=who, place=place)
        raise SettingsError([words])
    folder = app.folder or Path(str(module.__file__)).parent
    settings = load_app_settings(app.settings, app.name) if app.settings else None
    one = InstalledApp(app, folder, settings)
    missing = [
        f"mails/{kind.name}/{part}"
        for kind in app.mails
        for part in PARTS
        if not (folder / "mails" / kind.name / part).is_file()
    ]
    if missing:
        words = gettext(
            "%(who)s: %(files)s is missing in %(folder)s.", who=one.who, files=", ".join(missing), folder=folder
        )
        raise SettingsError([words])
    return one


def _refuse_twins(one: InstalledApp, others: list[InstalledApp]) -> None:
    if one.name in {other.name for other in others}:
        raise SettingsError([gettext("Two apps are called %(name)s.", name=one.name)])
