"""What "Export my data" has of a member: files that are there or were imported, and contacts."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from csv_import.models import Contact, Import
from mailroom.api import services

IMPORTS = (
    Import.file,
    Import.size,
    Import.lines,
    Import.created_at,
    Import.ended_at,
    Import.contacts,
    Import.skipped,
)
AT_ONCE = 500
"""Rows read at a time: the worker has others to serve."""


async def imports(account_id: UUID) -> AsyncIterator[Mapping[str, Any]]:
    """Yield a member's files, the oldest first."""
    async with services().begin() as work:
        mine = select(*IMPORTS).where(Import.owner_id == account_id).order_by(Import.id)
        rows = (await work.session.execute(mine)).mappings().all()
    for row in rows:
        yield dict(row)


async def contacts(account_id: UUID) -> AsyncIterator[Mapping[str, Any]]:
    """Yield a member's contacts, by address."""
    last = ""
    while True:
        mine = select(Contact.email, Contact.name).where(Contact.owner_id == account_id, Contact.email > last)
        async with services().begin() as work:
            rows = (await work.session.execute(mine.order_by(Contact.email).limit(AT_ONCE))).mappings().all()
        for row in rows:
            yield dict(row)
        if len(rows) < AT_ONCE:
            return
        last = rows[-1]["email"]
