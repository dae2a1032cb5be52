"""The output of a program: to its log file, or line by line to the console."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Protocol

from mailroom.ops.processes.program import Program


class Output(Protocol):
    """Takes lines."""

    def say(self, text: str) -> None:
        """Show a line of the supervisor."""

    def line(self, name: str, text: str) -> None:
        """Show a line of the program `name`."""


@contextlib.asynccontextmanager
async def sink(program: Program, output: Output) -> AsyncIterator[int]:
    """Lend the descriptor a program writes to: its log file, or a pipe of which every line is shown."""
    if program.log:
        yield os.open(program.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return
    reading, writing = os.pipe()
    relay = asyncio.create_task(_relay(reading, program.name, output))
    try:
        yield writing
    finally:
        await asyncio.wait({relay}, timeout=1)  # a program of its own session may hold the pipe for longer
        relay.cancel()


async def _relay(descriptor: int, name: str, output: Output) -> None:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    rest = b""
    try:
        while chunk := await reader.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():  # Celery's blank lines say nothing
                    output.line(name, line.decode(errors="replace").rstrip("\r"))
        if rest:
            output.line(name, rest.decode(errors="replace"))
    finally:
        transport.close()
