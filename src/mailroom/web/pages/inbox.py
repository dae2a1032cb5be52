"""The inbox of the embedded stack: the mails it caught. The routes do not exist anywhere else."""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from email import message_from_bytes
from pathlib import Path

from quart import Blueprint, Response, abort, json, make_response, request

from mailroom.mail.rendering.inline_pictures import with_pictures
from mailroom.ops.embedded.inbox_store import InboxStore, Message
from mailroom.web.page import page

MAIL_POLICY = (
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
)
"""What a mail's own HTML may do: use its own styles, but load and run nothing; its links open in a new tab.

The page around it may measure it (`allow-same-origin`, without `allow-scripts`) to set the height of the frame.
"""
_TARGET = '<base target="_blank">'
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
MOST = 500


def make_blueprint(folder: Path) -> Blueprint:
    """Return the inbox's pages over the mails caught in `folder`."""
    blueprint, store = Blueprint("inbox", __name__, url_prefix="/inbox"), InboxStore(folder)

    async def find(message_id: str) -> Message:
        return await asyncio.to_thread(store.get, message_id) or abort(404)

    @blueprint.get("")
    async def inbox() -> Response:
        to = request.args.get("to") or None
        return await page("inbox.html", messages=await asyncio.to_thread(store.messages, to), to=to)

    @blueprint.get("/api/messages")
    async def messages() -> Response:
        """Give the newest `limit` messages (to one address) as JSON, newest first."""
        to, limit = request.args.get("to") or None, request.args.get("limit", MOST, type=int)
        return await _json_of((await asyncio.to_thread(store.messages, to))[: max(limit, 0)])

    @blueprint.get("/<message_id>")
    async def message(message_id: str) -> Response:
        return await page("inbox_message.html", message=await find(message_id))

    @blueprint.get("/<message_id>/html")
    async def html(message_id: str) -> Response:
        found = await find(message_id)
        raw = await asyncio.to_thread(store.raw, message_id) if "cid:" in found.html else None
        return await _mail_html(with_pictures(message_from_bytes(raw), found.html) if raw else found.html)

    @blueprint.get("/<message_id>/source")
    async def source(message_id: str) -> Response:
        raw = await asyncio.to_thread(store.raw, message_id)
        if raw is None:
            abort(404)
        return Response(raw.decode("utf-8", "replace"), content_type="text/plain; charset=utf-8")

    return blueprint


async def _mail_html(html: str) -> Response:
    if not html:
        abort(404)
    response = await make_response(with_target(html))
    assert isinstance(response, Response)
    response.headers["Content-Security-Policy"] = MAIL_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def with_target(html: str) -> str:
    """Return a mail's HTML with its links set to open in a new tab, at the start of its head if it has one."""
    head = _HEAD.search(html)
    return f"{html[: head.end()]}{_TARGET}{html[head.end() :]}" if head else _TARGET + html


async def _json_of(messages: Sequence[Message]) -> Response:
    body = [
        {
            "id": message.id,
            "from": message.sender,
            "to": message.to,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "received_at": message.received_at.isoformat(),
        }
        for message in messages
    ]
    text = json.dumps(body)
    response = Response(text, content_type="application/json")
    response.set_etag(hashlib.sha256(text.encode()).hexdigest()[:20])
    response.headers["Cache-Control"] = "private, no-cache"  # the page asks every two seconds: mostly 304
    return await response.make_conditional(request)
