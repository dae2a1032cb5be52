"""`mailroom new-app NAME`: a package with a page, a task, a mail and their tests."""

from pathlib import Path
from string import Template

from mailroom.apps.app import App
from mailroom.i18n.messages import gettext
from mailroom.kit.errors import MailroomError

TEMPLATES = Path(__file__).parent / "new_app"
FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "{name}/__init__.py": "__init__.py.txt",
    "{name}/web.py": "web.py.txt",
    "{name}/tasks.py": "tasks.py.txt",
    "{name}/templates/{name}/form.html": "form.html.txt",
    "{name}/mails/{name}.greeting/subject.txt": "subject.txt",
    "{name}/mails/{name}.greeting/body.txt": "body.txt",
    "{name}/mails/{name}.greeting/body.html": "body.html.txt",
    "tests/conftest.py": "conftest.py.txt",
    "tests/test_{name}.py": "test_app.py.txt",
}
"""Path in the new folder → the template it is made from."""
NEXT = "cd {name} && pip install --editable . && mailroom up --reload"


class CannotMake(MailroomError):
    """The app cannot be made."""


def new_app(name: str, where: Path) -> Path:
    """Write an app called `name` into a new folder of that name in `where`; return the folder.

    Raises `CannotMake` if the name cannot be an app's, or if the folder exists already.
    """
    try:
        App(name)
    except ValueError as error:
        raise CannotMake(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    folder = where / name
    if folder.exists():
        raise CannotMake(gettext("%(folder)s is there already.", folder=folder))
    words = {"name": name, "dashed": name.replace("_", "-"), "title": name.replace("_", " ").capitalize()}
    for path, source in FILES.items():
        file = folder / path.format(name=name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            Template((TEMPLATES / source).read_text(encoding="utf-8")).substitute(words), encoding="utf-8"
        )
    return folder
