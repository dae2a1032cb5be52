"""Where a mail or task is, by watch token: long poll, server-sent events, a page for an iframe, and `embed.js`."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

from quart import Blueprint, Response, abort, g, request
from quart_schema import document_querystring, document_response, operation_id, tag

from mailroom.api_keys.keys import ApiKeys
from mailroom.api_keys.watch_tokens import WrongWatchToken
from mailroom.i18n.languages import best_of, speaking
from mailroom.kit.errors import Unavailable
from mailroom.progress.snapshot import NO_NEWS, Snapshot
from mailroom.progress.subscription import Subscription
from mailroom.progress.tracker import Tracker
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.queries import check_parameters
from mailroom.web.browser import client, services
from mailroom.web.embed.documents import WatchedDocument, WatchQuery
from mailroom.web.embed.socket import STANDS_EVERY, embed_live, reason_of
from mailroom.web.embed.targets import ForbiddenOrigin, Opened, open_token
from mailroom.web.embed.words import words
from mailroom.web.live.registry import Full, SocketRegistry
from mailroom.web.openapi.document import may_be_unchanged
from mailroom.web.page import page
from mailroom.web.parts import current
from mailroom.web.program_answers import ApiError
from mailroom.web.rate_limits.limits import READ, limited_reads
from mailroom.web.static_files import StaticFiles

blueprint = Blueprint("embed", __name__)
blueprint.websocket("/embed/live")(embed_live)

LONGEST_WAIT = 30.0
"""Seconds that a long poll waits for news."""
LONGEST_STREAM = 300.0
"""Seconds of one stream of server-sent events; browsers come back by themselves."""
PING_EVERY = 15.0
"""Seconds between two comments in a stream: proxies end silent connections."""
KEPT = "public, max-age=3600"
OPENS_NOTHING = "This token opens nothing."


@blueprint.get("/api/v1/watch/<token>")
@limited_reads(READ)
@operation_id("watch")
@tag(["watch"])
@document_querystring(WatchQuery)
@document_response(WatchedDocument, 200)
@may_be_unchanged
@refusals
async def watch(token: str) -> Response:
    """Tell where it is, at once or as a stream. With `wait` (seconds) and If-None-Match, waits for news."""
    opened = await _open(token)
    check_parameters()
    tracker = services().tracker
    assert tracker is not None
    if "text/event-stream" in request.accept_mimetypes.values():
        return _with_cors(_stream(tracker, opened))
    seconds = _seconds(request.args.get("wait", "0"))
    known = request.if_none_match
    body = ""
    try:
        async with aclosing(_changes(tracker, opened, seconds, services().api_keys)) as changes:
            async for body in changes:
                if _tag(body) not in known:
                    break
    except WrongWatchToken:
        raise ApiError(404, "not_found", OPENS_NOTHING) from None
    response = Response(body, content_type="application/json")
    response.set_etag(_tag(body))
    response.headers["Cache-Control"] = "private, no-cache"
    return _with_cors(await response.make_conditional(request))


@blueprint.get("/embed/<token>")
@limited_reads(READ)
async def embed_page(token: str) -> Response:
    """Show the same as a page, for an iframe in the pages of the key's origins."""
    try:
        opened = await open_token(services(), token, None)
    except WrongWatchToken as error:
        g.mailroom_frame_ancestors = "*"
        return await page("embed.html", 404, token="", reason=reason_of(error), final=True)
    tracker = services().tracker
    assert tracker is not None
    said: dict[str, Any] = {}
    async with aclosing(_changes(tracker, opened, 0, services().api_keys)) as changes:
        async for text in changes:
            said = json.loads(text)
    g.mailroom_frame_ancestors = " ".join(["'self'", *opened.origins])
    word = words().get(said.get("state", NO_NEWS), "")
    return await page("embed.html", token=token, word=word, reason="", final=bool(said.get("final")))


@blueprint.get("/embed.js")
async def embed_script() -> Response:
    """Answer with the script, which any page may load."""
    found = current(StaticFiles)["embed.js"]
    response = Response(found.content, content_type=found.content_type)
    response.set_etag(found.fingerprint)
    response.headers["Cache-Control"] = KEPT
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return await response.make_conditional(request)


@blueprint.get("/embed/words")
@limited_reads(READ)
async def embed_words() -> Response:
    """Answer with the words of the element, in the language that suits a page in `lang` (RFC 5646)."""
    language = best_of([request.args.get("lang", "")])
    with speaking(language):
        body = json.dumps({"language": language, "words": words()}, ensure_ascii=False)
    response = Response(body, content_type="application/json")
    response.headers["Cache-Control"] = KEPT
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


async def _open(token: str) -> Opened:
    try:
        return await open_token(services(), token, request.headers.get("Origin"))
    except ForbiddenOrigin:
        raise ApiError(
            403, "forbidden_origin", "The key of this token does not allow this page's origin (--origin)."
        ) from None
    except WrongWatchToken as error:
        words = "This token has expired." if reason_of(error) == "expired" else OPENS_NOTHING
        raise ApiError(404, "not_found", words) from None


async def _changes(tracker: Tracker, opened: Opened, seconds: float, keys: ApiKeys) -> AsyncGenerator[str, None]:
    """Yield the current progress and each change, as JSON, for at most so many seconds.

    Raises `WrongWatchToken` where the key is revoked or expires meanwhile.
    """
    subscription, snapshots = tracker.subscribe(), dict[UUID, Snapshot]()
    said = ""
    guard = asyncio.create_task(_close_with_key(subscription, opened, keys)) if seconds else None
    try:
        await subscription.watch(opened.tasks)
        async with asyncio.timeout(seconds or None):
            async for snapshot in subscription:
                if not isinstance(snapshot, Snapshot):
                    continue
                snapshots[snapshot.task] = snapshot
                if snapshots.keys() < set(opened.tasks) or subscription.waiting:
                    continue
                body = opened.public(snapshots)
                text = json.dumps(body, separators=(",", ":"))
                if text != said:
                    said = text
                    yield text
                if body["final"] or not seconds:
                    return
        raise WrongWatchToken
    except TimeoutError:
        return
    finally:
        if guard:
            guard.cancel()
        subscription.close()


async def _close_with_key(subscription: Subscription, opened: Opened, keys: ApiKeys) -> None:
    """End a subscription once the key of its token is revoked or has expired."""
    while True:
        await asyncio.sleep(STANDS_EVERY)
        try:
            if not await keys.standing([opened.target.key_id]):
                subscription.close()
                return
        except Unavailable:
            continue


def _stream(tracker: Tracker, opened: Opened) -> Response:
    """Return a stream of server-sent events (WHATWG HTML §9.2), one for each change."""
    # Read now: the stream goes on without the request's context.
    address, keys = client().limited_as, services().api_keys
    registry = current(SocketRegistry)

    async def events() -> AsyncIterator[bytes]:
        try:
            with registry.place(address):
                changes = _changes(tracker, opened, LONGEST_STREAM, keys)
                waiting = asyncio.ensure_future(anext(changes, None))
                while True:
                    done, _ = await asyncio.wait({waiting}, timeout=PING_EVERY)
                    if not done:
                        yield b": ping\n\n"
                        continue
                    text = waiting.result()
                    if text is None:
                        return
                    yield f"data: {text}\n\n".encode()
                    waiting = asyncio.ensure_future(anext(changes, None))
        except WrongWatchToken:
            return  # the browser asks again, and is told 404
        except Full:
            yield b"retry: 10000\n\n"
        except Unavailable:
            yield b"retry: 5000\n\n"

    response = Response(events(), content_type="text/event-stream")
    response.timeout = None
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _with_cors(response: Response) -> Response:
    """Let the page that asked read the answer; its origin was checked."""
    if origin := request.headers.get("Origin"):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "ETag"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Vary"] = "Origin"
    return response


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        abort(400, "`wait` is a number of seconds.")
    return min(seconds, LONGEST_WAIT)


def _tag(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:20]
