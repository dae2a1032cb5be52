"""The migrations: `alembic/` of the repository, which the wheel carries as `mailroom/migrations/`."""

from pathlib import Path

import mailroom

PACKAGE = Path(mailroom.__file__).resolve().parent


def scripts() -> Path:
    """Return the folder with `env.py` and `versions/`."""
    packed = PACKAGE / "migrations"
    return packed if packed.is_dir() else PACKAGE.parents[1] / "alembic"


def migrate(revision: str = "heads") -> None:
    """Bring the database of DATABASE_URL to `revision`; prints a line for each step.

    Two at once do no harm: the second waits. Raises `SystemExit` with a sentence where that cannot be done.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    command.upgrade(config, revision)
