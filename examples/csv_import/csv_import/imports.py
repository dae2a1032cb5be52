"""What the app does: takes files in, and contacts out of them."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update

from csv_import.models import Contact, Import, Piece
from mailroom.api import Account, Sentence, UnitOfWork, new_id, services

SHOWN = 20
PUT = text("""
insert into csv_import_contacts (owner_id, email, name)
select :owner, email, name from unnest(cast(:emails as text[]), cast(:names as text[])) as found (email, name)
on conflict (owner_id, email) do update set name = excluded.name
""")


async def take(owner: Account, file: str, pieces: AsyncIterator[bytes]) -> UUID:
    """Store a file and start its import, in one transaction; return the ticket. The file is never all in
    memory."""
    import_id, size, lines = new_id(), 0, 0
    async with services().begin() as work:
        title = Sentence("csv_import.task", {"file": file})
        ticket = await services().start_task(work, "csv_import.read", str(import_id), title=title, owner=owner)
        row = Import(id=import_id, owner_id=owner.id, ticket=ticket, file=file, size=0, lines=0)
        work.session.add(row)
        await work.session.flush()
        number = 0
        async for content in pieces:
            values = {"import_id": import_id, "number": number, "content": content}
            await work.session.execute(insert(Piece).values(values))
            number, size, lines = number + 1, size + len(content), lines + content.count(b"\n")
        row.size, row.lines = size, lines
    return ticket


async def pieces_of(import_id: UUID) -> AsyncIterator[bytes]:
    """Yield the pieces of a file, each read in a unit of work of its own."""
    number = 0
    while True:
        async with services().begin() as work:
            content = await work.session.scalar(
                select(Piece.content).where(Piece.import_id == import_id, Piece.number == number)
            )
        if content is None:
            return
        yield content
        number += 1


async def find(import_id: UUID) -> Import | None:
    """Return an import."""
    async with services().begin() as work:
        return await work.session.get(Import, import_id)


async def put(owner_id: UUID, contacts: dict[str, str]) -> None:
    """Store contacts, address → name; known addresses get the new name."""
    async with services().begin() as work:
        values = {"owner": owner_id, "emails": list(contacts), "names": list(contacts.values())}
        await work.session.execute(PUT, values)


async def end(found: Import, contacts: int, skipped: int) -> None:
    """Note that an import has ended, drop its file and have its owner told by mail: once, however often it
    runs."""
    async with services().begin() as work:
        ended = await work.session.scalar(
            update(Import)
            .where(Import.id == found.id, Import.ended_at.is_(None))
            .values(ended_at=func.now(), contacts=contacts, skipped=skipped)
            .returning(Import.id)
        )
        await work.session.execute(delete(Piece).where(Piece.import_id == found.id))
        owner = await services().account(work, found.owner_id)
        if ended and owner:
            params = {"file": found.file, "contacts": contacts, "skipped": skipped}
            await services().send_mail(work, "csv_import.ended", owner, params)


async def newest(owner: Account) -> tuple[int, Sequence[Import]]:
    """Return how many contacts a member has, and the newest imports."""
    async with services().begin() as work:
        count = select(func.count()).select_from(Contact).where(Contact.owner_id == owner.id)
        found = select(Import).where(Import.owner_id == owner.id).order_by(Import.created_at.desc()).limit(SHOWN)
        return await work.session.scalar(count) or 0, (await work.session.scalars(found)).all()


async def by_ticket(ticket: UUID) -> Import | None:
    """Return the import of a task."""
    async with services().begin() as work:
        return (await work.session.scalars(select(Import).where(Import.ticket == ticket))).one_or_none()


async def drop_files(work: UnitOfWork, older_than: timedelta, at_most: int = 20) -> None:
    """Drop the files of imports that have not ended, a bounded number at a time."""
    old = select(Import.id).where(Import.created_at < func.now() - older_than, Import.ended_at.is_(None))
    kept = select(Piece.import_id).where(Piece.import_id.in_(old)).distinct().limit(at_most)
    await work.session.execute(delete(Piece).where(Piece.import_id.in_(kept)))
