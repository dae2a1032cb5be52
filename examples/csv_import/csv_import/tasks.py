"""The import: a task with progress that can be cancelled, and begun again."""

from uuid import UUID

from csv_import import imports
from csv_import.records import Records
from mailroom.api import MailroomError, Sentence, report

BATCH = 2_000
"""Contacts in one statement."""


class FileGone(MailroomError):
    """The file is not kept any more."""

    message_code = "csv_import.error.gone"


async def read(import_id: str) -> None:
    """Import a file. Whoever cancels it keeps what was imported by then; begun again, it starts from the
    beginning."""
    found = await imports.find(UUID(import_id))
    if found is None:
        raise FileGone
    records, batch, addresses, skipped, size = Records(), dict[str, str](), 0, 0, 0
    report(current=0, total=found.lines, message=Sentence("csv_import.reading"))

    async def store() -> None:
        nonlocal addresses
        await imports.put(found.owner_id, batch)
        addresses += len(batch)
        batch.clear()
        report(current=records.lines, total=max(found.lines, records.lines))

    async for piece in imports.pieces_of(found.id):
        size += len(piece)
        for email, name in records.feed(piece, last=size == found.size):
            if not email:
                skipped += 1
                continue
            batch[email] = name
            if len(batch) >= BATCH:
                await store()
    if size < found.size:
        raise FileGone
    await store()
    report(message=Sentence("csv_import.done"))
    await imports.end(found, addresses, skipped)
