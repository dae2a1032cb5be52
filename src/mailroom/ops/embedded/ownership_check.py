"""Checks that a database holds nothing but Mailroom's tables, before `mailroom up` changes anything in it."""

from collections.abc import Collection

import psycopg

import mailroom.accounts.models
import mailroom.mail.models
import mailroom.tasks.models  # noqa: F401  # imported for its tables, like the two above
from mailroom.apps.installed import Apps
from mailroom.kit.database import Base
from mailroom.ops import migrations
from mailroom.ops.database_errors import explain
from mailroom.ops.processes.errors import ForeignDatabase, Refused
from mailroom.settings.urls import database_url, libpq_url

VERSIONS = "alembic_version"
# Tables and views of every schema, without the system's and without those an extension brought.
TABLES = """
SELECT CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""


def refuse_foreign(url: str, apps: Apps) -> None:
    """Raise `ForeignDatabase` if the database at `url` holds tables that are not Mailroom's, nor of `apps`.

    A table is Mailroom's if it is one of our models' and the database's migrations are ours. Nothing is written.
    """
    try:
        plain = libpq_url(database_url(url))
        with psycopg.connect(plain, connect_timeout=5) as connection:
            connection.read_only = True
            tables = [str(row[0]) for row in connection.execute(TABLES)]
            versions = []
            if VERSIONS in tables:
                versions = [str(row[0]) for row in connection.execute("SELECT version_num FROM alembic_version")]
    except ValueError as error:
        raise Refused(f"DATABASE_URL {error}.") from None
    except psycopg.Error as error:
        raise Refused(f"DATABASE_URL: {explain(error, database_url(url))}") from None
    theirs = tuple(f"{app.name}_" for app in apps)
    ours = [table for table in tables if not (theirs and table.startswith(theirs))]
    foreign = foreign_tables(ours, versions, _revisions(apps))
    if foreign:
        shown = ", ".join(foreign[:8]) + (f" and {len(foreign) - 8} more" if len(foreign) > 8 else "")  # noqa: PLR2004
        raise ForeignDatabase(
            f"The database of DATABASE_URL holds tables that are not Mailroom's: {shown}. Nothing was changed. "
            "Give Mailroom an empty database of its own, or unset DATABASE_URL to use the embedded one."
        )


def foreign_tables(tables: Collection[str], versions: Collection[str], known: Collection[str]) -> list[str]:
    """Return which of `tables` are not Mailroom's, given the migrations noted there and those we know."""
    ours = {*Base.metadata.tables, VERSIONS}
    noted = VERSIONS in tables and set(versions) <= set(known)
    if noted and (versions or set(tables) == {VERSIONS}):
        return sorted(set(tables) - ours)
    return sorted(tables)  # the same names, made by somebody else


def _revisions(apps: Apps) -> list[str]:
    return [script.revision for script in migrations.script_directory(apps).walk_revisions()]
