"""The migrations: `alembic/` of the repository, which the wheel carries as `mailroom/migrations/`, and those of
apps.

The migrations of an app are a separate branch: its first revision has no `down_revision`. All branches are noted
in one table, `alembic_version`, with a row for each.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import mailroom
from mailroom.apps.installed import Apps

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

PACKAGE = Path(mailroom.__file__).resolve().parent


def scripts() -> Path:
    """Return the folder with `env.py` and `versions/`."""
    packed = PACKAGE / "migrations"
    return packed if packed.is_dir() else PACKAGE.parents[1] / "alembic"


def config(apps: Apps) -> "Config":
    """Return alembic's configuration for Mailroom's migrations and those of `apps`."""
    from alembic.config import Config

    found = Config()
    folders = [scripts() / "versions", *apps.folders("migrations")]
    found.set_main_option("script_location", _escaped(scripts()))
    found.set_main_option("path_separator", "newline")
    found.set_main_option("version_locations", "\n".join(map(_escaped, folders)))
    found.set_main_option("file_template", "%%(year)d%%(month).2d%%(day).2d_%%(slug)s")
    return found


def script_directory(apps: Apps) -> "ScriptDirectory":
    """Return the migrations of Mailroom and of `apps`."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config(apps))


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")
