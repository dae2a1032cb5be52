"""Why a database cannot be used, and what to do: one way to say it for doctor, `mailroom up` and migrations."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import errors

from mailroom.i18n.messages import gettext
from mailroom.kit.text import clean
from mailroom.settings.urls import database_place, passwords

NOT_ALLOWED = (errors.InsufficientPrivilege, errors.InvalidSchemaName)
READ_ONLY = errors.ReadOnlySqlTransaction
UNUSABLE = (psycopg.OperationalError, READ_ONLY, *NOT_ALLOWED)
"""What the owner of the database or of the settings has to mend; any other error is ours."""


class Explanation(NamedTuple):
    """A sentence without its full stop, and what to do."""

    words: str
    advice: str

    def __str__(self) -> str:
        """Return both as sentences."""
        return f"{self.words}. {self.advice}"


def explain(error: psycopg.Error, url: str) -> Explanation:
    """Return why the database at `url` could not be used, without a secret. `url` is `settings.database_url`."""
    place, told = database_place(url), str(error)
    user = unquote(urlsplit(url).username or "") or "mailroom"
    fatal = first_line(error, url).rpartition("FATAL:")[2].strip()
    if isinstance(error, NOT_ALLOWED):
        words = gettext(
            "%(place)s: the user %(user)s lacks a right there: %(told)s",
            place=place,
            user=user,
            told=first_line(error, url),
        )
        grant = f'GRANT CREATE, USAGE ON SCHEMA public TO "{user}";'
        return Explanation(words, gettext("As a superuser in that database: %(command)s", command=grant))
    if isinstance(error, READ_ONLY) or "read-only" in told or "hot standby" in told:
        words = gettext("%(place)s is a standby, or takes no writes for another reason", place=place)
        return Explanation(
            words, gettext("Name the primary in DATABASE_URL, or all hosts with commas between them.")
        )
    if "password authentication failed" in told or "no password supplied" in told:
        words = gettext("%(place)s does not accept the user and password", place=place)
        return Explanation(words, gettext("Correct them in DATABASE_URL."))
    if "no pg_hba.conf entry" in told:
        words = gettext("%(place)s lets nobody in from here: %(told)s", place=place, told=fatal)
        return Explanation(words, gettext("Allow it in pg_hba.conf, or add ?sslmode=require to DATABASE_URL."))
    if "certificate" in told or "SSL" in told:
        words = gettext("%(place)s offers no safe connection: %(told)s", place=place, told=first_line(error, url))
        return Explanation(words, gettext("Correct the host name, or sslmode and sslrootcert in DATABASE_URL."))
    if "does not exist" in told:
        return Explanation(f"{place}: {fatal}", gettext("Create it, or correct DATABASE_URL."))
    words = gettext("%(place)s cannot be reached: %(told)s", place=place, told=first_line(error, url))
    return Explanation(words, gettext("Start PostgreSQL, or correct DATABASE_URL."))


def first_line(error: psycopg.Error, url: str) -> str:
    """Return the first line of what PostgreSQL or libpq said, the passwords of `url` replaced by ``***``."""
    told = str(error)
    for secret in sorted(passwords(url), key=len, reverse=True):
        told = told.replace(secret, "***")
    first, *others = told.strip().splitlines() or [type(error).__name__]
    if first.startswith("Multiple connection attempts failed") and others:  # each host or address has its line
        first = others[-1].lstrip("- ")
    return clean(first)
