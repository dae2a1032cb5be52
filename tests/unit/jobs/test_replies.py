import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import Encoder
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import InvalidResponse, ResponseError

from mailroom.jobs.replies import MGetParser


def reply(values: list[bytes | None]) -> bytes:
    strings = (b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value) for value in values)
    return b"*%d\r\n" % len(values) + b"".join(strings)


async def parse(wire: bytes, pieces: list[int]) -> Any:
    """Have `wire` read as it comes, in pieces of these lengths."""
    stream = asyncio.StreamReader()
    parser = MGetParser(65536)
    parser.on_connect(SimpleNamespace(_reader=stream, encoder=Encoder("utf-8", "strict", decode_responses=False)))
    reading = asyncio.create_task(parser.read_response())
    for length in pieces:
        stream.feed_data(wire[:length])
        wire = wire[length:]
        await asyncio.sleep(0)
    stream.feed_data(wire)
    stream.feed_eof()
    return await reading


@given(st.lists(st.none() | st.binary(max_size=40)), st.lists(st.integers(1, 30), max_size=20))
def test_a_list_is_read_whole_however_it_comes(values: list[bytes | None], pieces: list[int]) -> None:
    assert asyncio.run(parse(reply(values), pieces)) == values


async def test_other_replies_are_redis_pys_own() -> None:
    assert await parse(b"+PONG\r\n", [3]) == b"PONG"
    assert isinstance(await parse(b"-ERR unknown command\r\n", []), ResponseError)


async def test_half_a_reply_and_a_wrong_one_are_errors() -> None:
    with pytest.raises(ConnectionLost):
        await parse(reply([b"one", b"two"])[:-5], [])
    with pytest.raises(InvalidResponse):
        await parse(b"*1\r\n:1\r\n", [])
    with pytest.raises(InvalidResponse):
        await parse(reply([b"one"]) + b"+OK\r\n", [])
