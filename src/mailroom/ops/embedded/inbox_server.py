"""The inbox: an SMTP server that keeps every mail it is given and sends none on.

A process of its own: ``python -m mailroom.ops.embedded.inbox_server --port N --folder F``.
"""

import argparse
import asyncio
import logging
import signal
import warnings
from pathlib import Path
from typing import Any

from mailroom.ops.embedded.inbox_store import InboxStore
from mailroom.ops.embedded.ports import LOOPBACK

LARGEST = 25 * 1024 * 1024

logger = logging.getLogger(__name__)


class KeepAll:
    """aiosmtpd's handler: a message is on disk before the server says 250 (RFC 5321 §6.1)."""

    def __init__(self, store: InboxStore) -> None:
        self._store = store

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  # its name
        """Store the message and return the reply."""
        try:
            kept = await asyncio.to_thread(
                self._store.put, envelope.content, envelope.mail_from or "", envelope.rcpt_tos
            )
        except OSError as error:
            logger.exception("a mail could not be stored")
            return f"452 4.3.1 It could not be stored: {error.strerror}"
        logger.info("caught a mail")
        return f"250 2.6.0 Kept as {kept}"


async def inbox(port: int, folder: Path) -> asyncio.Server:
    """Listen on 127.0.0.1:`port` and store into `folder`; close the returned server to end it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # aiosmtpd uses what newer Pythons will drop
        from aiosmtpd.smtp import SMTP
    handler = KeepAll(InboxStore(folder))

    def session() -> Any:
        return SMTP(
            handler, hostname="localhost", ident="Mailroom inbox", data_size_limit=LARGEST, enable_SMTPUTF8=True
        )

    return await asyncio.get_running_loop().create_server(session, LOOPBACK, port)


def serve_inbox(port: int, folder: Path) -> None:
    """Run the inbox until SIGTERM or SIGINT."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd logs every command
    asyncio.run(_serve(port, folder))


async def _serve(port: int, folder: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await inbox(port, folder)
    await stop.wait()
    server.close()  # open connections end with the process; what was answered with 250 is on disk


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Mailroom's inbox: keeps every mail it is given.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    serve_inbox(given.port, given.folder)
