"""The usual way, to compare with: every page asks for its own task twice a second, one GET each.

The server's half is a Quart route that asks Celery's `AsyncResult`, as celery-progress does, under the same
Hypercorn. The client's half keeps a connection for every page, as a browser does.
"""

import asyncio
import json
import os
import sys
import time
from urllib.parse import quote

import uvloop
from celery import Celery
from celery.result import AsyncResult
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

EVERY = 0.5


def make_app() -> Quart:
    celery = Celery("usual", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
    app = Quart(__name__)

    @app.get("/progress/<task>")
    async def progress(task: str) -> dict[str, object]:
        meta = AsyncResult(task, app=celery)._get_task_meta()  # noqa: SLF001  # one look; .state and .info take two
        return {"state": meta["status"], "progress": meta["result"]}

    return app


async def server(port: int) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 3600  # idle pages are not to be cut off while the others connect
    config.keep_alive_max_requests = 1_000_000_000
    config.backlog = 4096
    await serve(make_app(), config)


async def client(port: int, seconds: float, tasks: list[str]) -> dict[str, float]:
    """Connect all pages, have each ask for its task every half second for `seconds`; return what came of it."""
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in tasks]
    took: list[float] = []
    until = time.monotonic() + seconds

    async def page(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(number / len(tasks) * EVERY)
        request = f"GET /progress/{quote(tasks[number])} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        while time.monotonic() < until:
            asked = time.monotonic()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(time.monotonic() - asked)
            await asyncio.sleep(max(0.0, EVERY - took[-1]))

    pages = [asyncio.create_task(page(number, *line)) for number, line in enumerate(lines)]
    await asyncio.wait(pages, timeout=seconds)
    times = sorted(took)
    for one in pages:
        one.cancel()
    await asyncio.gather(*pages, return_exceptions=True)
    for _, writer in lines:
        writer.close()
    return {
        "answered": len(times) / seconds,
        "p50": times[len(times) // 2] if times else seconds,
        "p99": times[int(len(times) * 0.99)] if times else seconds,
    }


if __name__ == "__main__":
    if sys.argv[1] == "server":
        uvloop.run(server(int(sys.argv[2])))
    else:
        print(json.dumps(uvloop.run(client(int(sys.argv[2]), float(sys.argv[3]), sys.stdin.read().split()))))
