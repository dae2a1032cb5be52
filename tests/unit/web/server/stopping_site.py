"""A site that is hard to stop, under the web's own server: `python stopping_site.py PORT SECONDS`."""

import asyncio
import logging
import sys

from quart import Quart, websocket

from mailroom.ops.processes.listening import listen
from mailroom.web.api.waits import Waits
from mailroom.web.live.registry import SocketRegistry
from mailroom.web.parts import provide
from mailroom.web.server.server import run

app = Quart(__name__)
provide(app, SocketRegistry, SocketRegistry(per_session=1, per_address=1))
provide(app, Waits, Waits())


@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(2.5)
    return "answered"


@app.get("/endless")
async def endless() -> str:
    await asyncio.sleep(60)
    return "too late"


@app.websocket("/deaf")
async def deaf() -> None:
    await websocket.accept()
    await asyncio.sleep(60)


@app.after_serving
async def close() -> None:
    await asyncio.sleep(60)


logging.basicConfig(level="INFO")
run(app, listen("127.0.0.1", int(sys.argv[1])), stop_seconds=float(sys.argv[2]))
