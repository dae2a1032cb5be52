"""`/live`: one websocket a page, for as many tickets as it shows.

A watcher gets a snapshot, then changes, then the end; a reconnect is just a new snapshot. The handshake is
answered only after the checks: Origin, the limits, and a session of ours. Our own pages ask for `?view=1`: then
each snapshot also has what the page shows (`web/views/view_data.py`).
"""

import asyncio
from contextlib import suppress

from quart import Blueprint, Quart, Response, websocket

from mailroom.accounts.views import Session
from mailroom.kit.errors import Unavailable
from mailroom.services import Services
from mailroom.web.api.waits import Waits
from mailroom.web.browser import client, services, session_secret, speak_for
from mailroom.web.desk.overview import Readings
from mailroom.web.live.registry import Full, SocketRegistry
from mailroom.web.live.revalidation import Revalidation
from mailroom.web.live.socket import LiveSocket
from mailroom.web.live.ticket_owners import TicketOwners
from mailroom.web.parts import current, part_of, provide
from mailroom.web.security import is_same_origin

blueprint = Blueprint("live", __name__)


@blueprint.websocket("/live")
async def live() -> Response | None:
    """Check, accept, serve."""
    have = services()
    hub, holders = current(SocketRegistry), current(TicketOwners)
    assert have.tracker is not None
    asked = client(websocket)
    if not is_same_origin(dict(websocket.headers), asked.scheme, asked.host, have.settings):
        return Response("Only Mailroom's own pages may open this.\n", 403)
    try:
        with hub.place(asked.limited_as):
            session = await _session(have)
            if session is None:
                return Response("No session: open a page of Mailroom first.\n", 401)
            if session.account:
                speak_for(session.account)
            views = websocket.args.get("view") == "1"
            socket = LiveSocket(session, have.tracker.subscribe(), holders, views=views)
            with hub.counted(socket), suppress(asyncio.CancelledError):
                await websocket.accept()
                await socket.run()
    except Full as full:
        return Response(f"{full}\n", 503 if full.everywhere else 429)
    except Unavailable:
        return Response("The database is away; try again soon.\n", 503)
    return None


async def _session(have: Services) -> Session | None:
    secret = session_secret(websocket.cookies, have.settings)
    found = await have.sessions.find(secret) if secret else None
    return None if found and found.account and found.account.deletes_at else found


def serve_live(app: Quart) -> None:
    """Give the application its websocket."""
    have = part_of(app, Services)
    hub = SocketRegistry(
        per_session=have.settings.live_sockets_per_session, per_address=have.settings.live_sockets_per_address
    )
    holders = TicketOwners(have)
    recheck = Revalidation(hub, have, holders, part_of(app, Waits), part_of(app, Readings).standing)
    have.sessions.on_change.append(recheck.end)

    async def start() -> None:
        recheck.start()

    provide(app, SocketRegistry, hub)
    provide(app, TicketOwners, holders)
    app.before_serving(start)
    app.after_serving(recheck.stop)
    app.register_blueprint(blueprint)
