"""`mailroom web`: Hypercorn's protocols, with our own start and stop.

Hypercorn's own server does not stop while a websocket is open (Python ≥ 3.12), and its API serves one process.
Here the websockets are closed first, with a code that tells clients to reconnect, and several processes share
one listening socket: a free process accepts.
"""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from hypercorn.config import Config
from quart import Quart

from mailroom.kit.stopping import exit_after
from mailroom.settings.stop_times import DEFAULT, StopTimes
from mailroom.statistics.counters import Counters
from mailroom.web.api.waits import Waits
from mailroom.web.live.registry import SocketRegistry
from mailroom.web.parts import part_of
from mailroom.web.server.access_log import AccessLog
from mailroom.web.server.connections import Connections

logger = logging.getLogger(__name__)

MOST_FILES = 65_536
FULL_COLLECTION_AFTER = 1_000
"""Collections of the middle generation, each after some 7,000 objects that stay, until a full one; usually 10."""


def run(
    app: Quart,
    listening: socket.socket,
    *,
    hops: int = 0,
    per_address: int | None = None,
    counters: Counters | None = None,
    site_path: str = "",
    stop_seconds: float = DEFAULT,
) -> None:
    """Serve `app` on an open socket until SIGTERM or SIGINT.

    `hops` proxies in front of it are trusted. One address may have `per_address` connections; if there is a proxy,
    the proxy has to limit that. `site_path` is the path of the host that the site is served under.
    Serving ends within `stop_seconds` of the signal.
    """
    _raise_file_limit()
    config, times = _config(hops, counters, site_path), StopTimes.of(stop_seconds)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(app, listening, config, None if hops else per_address, times))


async def _serve(
    app: Quart, listening: socket.socket, config: Config, per_address: int | None, times: StopTimes
) -> None:
    stopping = asyncio.Event()
    loop, told_at = asyncio.get_running_loop(), 0.0
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    connections = Connections(app, config, per_address=per_address)
    await app.startup()
    try:
        _spare_full_collections()
        await connections.listen(listening)
        host, port, *_ = listening.getsockname()
        logger.info("listening on %s, port %d", host, port)
        await stopping.wait()
        told_at = loop.time()
        exit_after(times.end)
        part_of(app, SocketRegistry).close_all()
        part_of(app, Waits).end()
        if not await connections.close(sockets=times.sockets, requests=times.requests, cut=times.cut):
            logger.warning("clients that took nothing any more were let go by force")
    finally:
        try:
            async with asyncio.timeout_at((told_at or loop.time()) + times.recorded):
                await app.shutdown()
        except TimeoutError:
            logger.warning("what was still open could not be closed in time; it ends with the process")


def _config(hops: int, counters: Counters | None, site_path: str) -> Config:
    config = Config()
    config.websocket_max_message_size = 16 * 1024
    config.include_server_header = False
    config.accesslog = "-"
    config.errorlog = logging.getLogger("hypercorn.error")
    config.logger_class = partial(AccessLog, hops=hops, counters=counters, site_path=site_path)  # type: ignore[assignment]
    return config


def _spare_full_collections() -> None:
    """Make full garbage collections rare: each stops the event loop, for 0.6 s with 3,000 sockets.

    Young objects are collected as usual. A connection that ends leaves no garbage for a full collection.
    """
    gc.collect()
    gc.freeze()  # what is here now stays
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_COLLECTION_AFTER)


def _raise_file_limit() -> None:
    """Allow as many sockets as the system does: the usual soft limit of 1,024 is meant for `select`."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # not on every system
        return asyncio.new_event_loop
    return uvloop.new_event_loop
