"""`mailroom web`: Hypercorn through its API, with a shutdown of our own.

Hypercorn's own start does not end while a websocket is open (Python ≥ 3.12) and its API serves one process.
Here the sockets are closed first, with a code that tells clients to come back, and several processes share
one listening socket: whichever is free accepts.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

from mailroom.settings import Settings
from mailroom.web.access_log import AccessLog

logger = logging.getLogger(__name__)

BACKLOG = 1024
GRACE = 2.0
"""Seconds requests under way and websockets that were told to go have to end."""


def listen(settings: Settings) -> socket.socket:
    """Open the listening socket. Raises OSError where the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((settings.host, settings.port))
    listening.listen(BACKLOG)
    return listening


def run(app: Quart, listening: socket.socket) -> None:
    """Serve `app` on an open socket until SIGTERM or SIGINT."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(app, listening))


async def _serve(app: Quart, listening: socket.socket) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    lingering: list[asyncio.Task[None]] = []

    async def until_stopped() -> None:
        await stopping.wait()
        app.extensions["mailroom_hub"].close_all()
        lingering.append(asyncio.create_task(_end_connections_after(GRACE)))

    await serve(app, _config(listening), shutdown_trigger=until_stopped)
    for task in lingering:
        task.cancel()


async def _end_connections_after(seconds: float) -> None:
    """End the connections that are still open then: a client need not be polite for this process to end.

    From Python 3.12 on, closing an asyncio server waits for all of its connections, without limit, and
    Hypercorn offers no way to them but their tasks.
    """
    await asyncio.sleep(seconds)
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame and frame.f_code.co_name == "_server_callback" and "writer" in frame.f_locals:
            frame.f_locals["writer"].transport.abort()
    await asyncio.sleep(seconds / 2)
    logger.warning("a client that takes nothing any more holds a connection open; ending without it")
    raise SystemExit(0)


def _config(listening: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.graceful_timeout = GRACE
    config.shutdown_timeout = GRACE  # for what follows serving: closing the database, say
    config.websocket_max_message_size = 16 * 1024
    config.websocket_ping_interval = 20  # keeps the line open through proxies that end idle ones
    config.include_server_header = False
    config.accesslog = "-"
    config.errorlog = logging.getLogger("hypercorn.error")
    config.logger_class = AccessLog
    return config


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # not on every system
        return asyncio.new_event_loop
    return uvloop.new_event_loop
