"""The page: how many contacts there are, the form for a file, the newest imports."""

import asyncio
from collections.abc import AsyncIterator
from typing import IO, Any
from uuid import UUID

from csv_import import imports
from mailroom.api import (
    EXPORT,
    Account,
    Blueprint,
    Invalid,
    Refused,
    Response,
    gettext,
    limited,
    member,
    page,
    redirect,
    refuse,
    request,
    take,
    takes_body,
)

blueprint = Blueprint("csv_import", __name__, url_prefix="/csv-import")

MB = 1024 * 1024
LARGEST = 50 * MB
PIECE = 1 * MB


@blueprint.get("/")
async def contacts() -> Response:
    """Show the page, or ask to sign in."""
    _, account = await member()
    return await _page(account, take())


async def _page(account: Account, refused: Refused) -> Response:
    count, newest = await imports.newest(account)
    return await page(
        "csv_import/contacts.html", refused.status, contacts=count, imports=newest, messages=refused.messages
    )


@blueprint.post("/")
@takes_body(LARGEST + MB, seconds=600, streamed=True)
@limited(EXPORT)
async def upload() -> Response:
    """Take a file and go on to the page where its import can be watched."""
    _, account = await member()
    file = (await request.files).get("file")
    if file is None or not file.filename:
        return await refuse(
            Invalid({"file": gettext("Please choose a file.")}),
            lambda refused: _page(account, refused),
            at="/csv-import/",
        )
    try:
        name = file.filename.replace("\\", "/").rpartition("/")[2][:80]
        ticket = await imports.take(account, name, _pieces(file.stream))
    except Invalid as error:
        return await refuse(error, lambda refused: _page(account, refused), at="/csv-import/")
    return redirect(f"/tasks/{ticket}")


async def _pieces(stream: IO[bytes]) -> AsyncIterator[bytes]:
    """Read the file, which Quart has put on disk. Raises `Invalid` where it is too large, or empty."""
    size = 0
    while content := await asyncio.to_thread(stream.read, PIECE):
        size += len(content)
        if size > LARGEST:
            raise Invalid({"file": gettext("This file is larger than 50 MB. Please part it.")})
        yield content
    if not size:
        raise Invalid({"file": gettext("This file is empty.")})


async def result(ticket: UUID) -> dict[str, Any]:
    """Return what the page of a finished import shows."""
    return {"found": await imports.by_ticket(ticket)}
