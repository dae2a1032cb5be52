"""Apps: what one may declare, and what a mistake in one is told like."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import jinja2
import pytest
from babel.messages.catalog import Catalog
from celery import Celery

from mailroom.api import App, ExportedTable, MailKind, TaskKind
from mailroom.apps.installed import Apps, InstalledApp
from mailroom.apps.loader import load
from mailroom.i18n import languages
from mailroom.i18n.extraction import compiled
from mailroom.i18n.messages import gettext
from mailroom.i18n.sentences import sentence
from mailroom.jobs import export_tasks
from mailroom.kit.template_loader import OverridingLoader
from mailroom.settings import SettingsError

Write = Callable[..., str]
names = (f"acme{number}" for number in range(1_000))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a package with this source and these files; return its name, which stands in them for `NAME`."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(source: str, **files: str | bytes) -> str:
        name = next(names)
        for path, content in {"__init__.py": source, **dict(files.items())}.items():
            file = tmp_path / name / path.replace("NAME", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.replace("NAME", name).encode())
        return name

    yield write
    load.cache_clear()


def problem(named: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(named)
    (only,) = caught.value.problems
    return only


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "__init__.py, line 1"),
        ("app =", "SyntaxError"),
        ("app = 1", "is no App of mailroom.api"),
        ("", "has no app"),
        ("from mailroom.api import App\napp = App('sessions')", "cannot be called 'sessions'"),
        (
            "from mailroom.api import App, MailKind\napp = App('NAME', mails=[MailKind('other.hello', 'A')])",
            "NAME.",
        ),
        (
            "from mailroom.api import App, MailKind\napp = App('NAME', mails=[MailKind('NAME.hello', 'A')])",
            "mails/NAME.hello/subject.txt",
        ),
        ("from mailroom.api import App\napp = App('NAME', blueprints=['NAME.web'])", "must be a text such as"),
        ("from mailroom.api import nonsense", "cannot import name 'nonsense' from 'mailroom.api'"),
    ],
)
def test_a_broken_app_is_told_in_one_sentence(write: Write, source: str, words: str) -> None:
    name = write(source)
    said = problem(name)
    assert said.startswith((f"MAILROOM_APPS names {name}", f"app {name}:"))
    assert words.replace("NAME", name) in said
    assert "\n" not in said


def test_an_app_that_is_not_there_is_told_with_the_python_that_lacks_it() -> None:
    assert "there is no module acme_not_here. Is it installed for /" in problem("acme_not_here.imports")


def test_every_broken_app_is_told_at_once(write: Write) -> None:
    with pytest.raises(SettingsError) as caught:
        load(f"{write('1 / 0')},{write('app = 1')}")
    assert len(caught.value.problems) == 2


def test_a_setting_of_an_app_is_read_and_a_wrong_one_told_without_its_value(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from mailroom.api import App, AppSettings\n"
        "class Settings(AppSettings):\n    rows: int = 5\n"
        "app = App('NAME', settings=Settings)"
    )
    name = write(source)
    monkeypatch.setenv(f"{name}_rows".upper(), "12")
    (found,) = load(name)
    assert found.settings
    assert found.settings.rows == 12  # type: ignore[attr-defined]
    load.cache_clear()
    monkeypatch.setenv(f"{name}_rows".upper(), "s3cret")
    said = problem(name)
    assert said.startswith(f"{name}_rows".upper())
    assert "s3cret" not in said


def test_sentences_and_translations_of_an_app_are_known_once_it_is_loaded(write: Write) -> None:
    catalogue = Catalog(locale="de")
    catalogue.add("Hello from an app", "Hallo aus einer App")
    name = write(
        "from mailroom.api import App\napp = App('NAME', sentences={'NAME.hello': 'Hello from an app'})",
        **{"catalogues/de/LC_MESSAGES/NAME.mo": compiled(catalogue)},
    )
    load(name)
    with languages.speaking("de"):
        assert gettext("Hello from an app") == "Hallo aus einer App"
        assert sentence(f"{name}.hello") == "Hallo aus einer App"
    assert sentence(f"{name}.hello") == "Hello from an app"


def test_an_app_is_loaded_once_and_two_of_one_name_are_refused(write: Write) -> None:
    name = write("from mailroom.api import App\napp = App('NAME')\nother = App('NAME')")
    assert len(list(load(f"{name},{name}:app"))) == 1
    assert problem(f"{name},{name}:other") == f"Two apps are called {name}."


def test_a_template_of_an_app_takes_the_place_of_ours_and_can_still_extend_it(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    (ours / "base.html").write_text("<b>{% block main %}ours{% endblock %}</b>")
    (theirs / "base.html").write_text('{% extends "mailroom/base.html" %}{% block main %}theirs{% endblock %}')
    environment = jinja2.Environment(loader=OverridingLoader(ours, [theirs]), autoescape=True)
    assert environment.get_template("base.html").render() == "<b>theirs</b>"


@pytest.mark.parametrize(
    "parts",
    [
        {"tasks": [TaskKind(name="acme.work", place="acme.tasks")]},
        {"tasks": [TaskKind(name="mailroom.work", place="acme.tasks:work")]},
        {"mails": [MailKind("hello", "Hello")]},
        {"sentences": {"mail.hello": "Hello"}},
        {"clean_ups": [print]},
        {"exports": [ExportedTable(name="lists", columns=["id"], place="acme.exports:lists")]},
        {"exports": [ExportedTable(name="acme_../lists", columns=["id"], place="acme.exports:lists")]},
        {"exports": [ExportedTable(name="acme_lists", columns=["id"], place="acme.exports")]},
    ],
)
def test_an_app_cannot_declare_what_is_not_its_own(parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must b"):
        App("acme", **parts)


def exported(name: str, place: str) -> InstalledApp:
    return InstalledApp(App("acme", exports=[ExportedTable(name=name, columns=["id"], place=place)]), Path())


async def rows(_account_id: UUID) -> AsyncIterator[dict[str, Any]]:
    """Yield none."""
    for row in ():
        yield row


def test_tables_of_an_export_that_cannot_be_written_are_refused_when_the_worker_starts() -> None:
    good = exported("acme_lists", f"{__name__}:rows")
    export_tasks.register(Celery(), Apps([good]))
    with pytest.raises(SettingsError, match="Two apps export a table acme_lists"):
        export_tasks.register(Celery(), Apps([good, good]))
    with pytest.raises(SettingsError, match=r"app acme exports .*, which is no asynchronous generator"):
        export_tasks.register(Celery(), Apps([exported("acme_lists", f"{__name__}:exported")]))


def test_without_apps_there_are_none() -> None:
    assert not Apps()
