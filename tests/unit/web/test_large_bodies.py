"""A body has the limit of its route, whatever came of it before the route was known."""

import asyncio
import hashlib
from typing import Any

import pytest
from quart import Quart, request

from mailroom.kit.byte_budget import Budget
from mailroom.web.parts import part_of
from mailroom.web.requests import (
    LARGEST_OF_ALL,
    MOST_STREAMED,
    UNREAD,
    StreamedBodies,
    read_requests,
    takes_body,
)

MB = 1024 * 1024
MOST = 40 * MB


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)
    read_requests(app)

    @app.post("/large")
    @takes_body(MOST)
    async def large() -> str:
        return hashlib.sha256(await request.get_data()).hexdigest()

    @app.post("/small")
    async def small() -> str:
        return str(len(await request.get_data()))

    return app


@pytest.mark.parametrize("size", [MB, 16 * MB + 1, MOST])
async def test_all_of_a_body_arrives_up_to_the_limit_of_its_route(app: Quart, size: int) -> None:
    body = b"mail" * (size // 4) + b"s" * (size % 4)
    answer = await app.test_client().post("/large", data=body)
    assert await answer.get_data(as_text=True) == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("path", ["/large", "/small"])
@pytest.mark.parametrize("size", [MOST + 1, LARGEST_OF_ALL + 1])
async def test_one_byte_more_is_refused(app: Quart, path: str, size: int) -> None:
    answer = await app.test_client().post(path, data=bytes(size))
    assert answer.status_code == 413


def test_no_route_takes_more_than_the_largest_of_all_and_a_form_as_much(app: Quart) -> None:
    assert app.config["MAX_CONTENT_LENGTH"] == LARGEST_OF_ALL
    with pytest.raises(ValueError, match="LARGEST_OF_ALL"):
        takes_body(LARGEST_OF_ALL + 1)


async def test_a_streamed_body_comes_as_fast_as_it_is_read_and_is_never_all_in_memory() -> None:
    app, may_read, given = Quart(__name__), asyncio.Event(), 0
    read_requests(app)

    @app.post("/streamed")
    @takes_body(MOST, streamed=True)
    async def streamed() -> str:
        await may_read.wait()
        digest = hashlib.sha256()
        async for part in request.body:
            digest.update(part)
        return digest.hexdigest()

    part, parts = b"x" * 65536, 160
    answered = asyncio.Event()
    answer: list[bytes] = []

    async def receive() -> Any:
        nonlocal given
        if given == parts:
            await answered.wait()
            return {"type": "http.disconnect"}
        given += 1
        await asyncio.sleep(0)
        return {"type": "http.request", "body": part, "more_body": given < parts}

    async def send(message: Any) -> None:
        answer.append(message.get("body", b""))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    scope = {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
        "method": "POST",
        "scheme": "http",
        "path": "/streamed",
        "raw_path": b"/streamed",
        "query_string": b"",
        "root_path": "",
        "extensions": {},
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    served = asyncio.create_task(app.asgi_app(scope, receive, send))  # type: ignore[arg-type]
    await asyncio.sleep(0.2)
    assert given <= UNREAD // len(part) + 1
    assert part_of(app, Budget).taken == 0
    may_read.set()
    await served
    assert b"".join(answer).decode() == hashlib.sha256(part * parts).hexdigest()


async def test_a_streamed_body_has_its_limit_too() -> None:
    app = Quart(__name__)
    read_requests(app)

    @app.post("/streamed")
    @takes_body(MB, streamed=True)
    async def streamed() -> str:
        return str(sum([len(part) async for part in request.body]))

    assert (await app.test_client().post("/streamed", data=bytes(MB))).status_code == 200
    assert (await app.test_client().post("/streamed", data=bytes(MB + 1))).status_code == 413


async def test_who_sends_a_streamed_body_slowly_is_told_so_and_a_slow_reader_takes_its_time() -> None:
    app = Quart(__name__)
    read_requests(app)

    @app.post("/streamed/<float:pause>")
    @takes_body(MB, seconds=0.5, streamed=True)
    async def streamed(pause: float) -> str:
        size = 0
        async for part in request.body:
            size += len(part)
            await asyncio.sleep(pause)
        return str(size)

    async with app.test_client().request("/streamed/0.0", method="POST") as slow:
        for _ in range(60):
            await slow.send(b"x")
            await asyncio.sleep(0.02)
            if slow.status_code:
                break
        assert slow.status_code == 408, "and it is told while it sends"

    async with app.test_client().request("/streamed/0.3", method="POST") as quick:
        for _ in range(8):
            await quick.send(bytes(MB // 8))
        await quick.send_complete()
    assert await (await quick.as_response()).get_data(as_text=True) == str(MB)
    assert part_of(app, StreamedBodies).taken == 0


async def test_a_process_takes_a_number_of_streamed_bodies_at_a_time() -> None:
    app, may_end = Quart(__name__), asyncio.Event()
    read_requests(app)

    @app.post("/streamed")
    @takes_body(MB, streamed=True)
    async def streamed() -> str:
        await may_end.wait()
        return str(sum([len(part) async for part in request.body]))

    client = app.test_client()
    first = [asyncio.create_task(client.post("/streamed", data=b"x")) for _ in range(MOST_STREAMED)]
    while part_of(app, StreamedBodies).taken < MOST_STREAMED:
        await asyncio.sleep(0.01)
    refused = await asyncio.wait_for(client.post("/streamed", data=b"x"), 5)
    assert refused.status_code == 503
    may_end.set()
    assert {answer.status_code for answer in await asyncio.gather(*first)} == {200}
    assert part_of(app, StreamedBodies).taken == 0
    assert (await client.post("/streamed", data=b"x")).status_code == 200
