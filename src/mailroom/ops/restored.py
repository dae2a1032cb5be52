"""Whether a worker may start: not on a database that was restored while mails were in flight."""

from typing import Any

import psycopg

from mailroom.mail.ledger.identity import (
    CLUSTER,
    LOOK,
    NO_CLUSTER,
    DatabaseRestored,
    Look,
    Witness,
    statement,
)
from mailroom.settings.urls import libpq_url

PATIENCE = 3
"""Seconds for PostgreSQL. If it does not answer, the worker starts, and looks again before it sends."""


def refusal(database_url: str, witness: Witness | None = None) -> str | None:
    """Return why no worker may start, or None if one may. Blocks for some seconds at most.

    Without a `witness`, a restored dump is recognized, but an older copy of the files is not.
    """
    for cluster in (CLUSTER, NO_CLUSTER):
        try:
            look = _look(database_url, cluster)
            witnessed = witness.read(look.name) if witness else None
            if look.restored(witnessed):  # unless a worker's heartbeat came between the two
                look = _look(database_url, cluster)
        except psycopg.errors.InsufficientPrivilege:
            continue
        except psycopg.Error:  # away, or not migrated yet
            return None
        return str(DatabaseRestored()) if look.restored(witnessed) else None
    return None


def _look(database_url: str, cluster: str) -> Look:
    with psycopg.connect(libpq_url(database_url), connect_timeout=PATIENCE) as connection:
        rows: list[Any] = connection.execute(statement(LOOK, cluster).encode()).fetchall()
    return Look(*rows[0])
