"""Questions and replies with a server that says what it is told, on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import cast

import pytest
from aiosmtplib import SMTPReadTimeoutError, SMTPResponseException, SMTPServerDisconnected

from mailroom.mail.smtp.protocol import MOST, PendingReplies, SmtpProtocol

Say = Callable[[Sequence[bytes | None]], Awaitable[SmtpProtocol]]


class Server(asyncio.Protocol):
    """Answers each line with the next of these, in halves, so that no reply comes whole; None hangs up."""

    def __init__(self, replies: Sequence[bytes | None]) -> None:
        self.replies = list(replies)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        reply = self.replies.pop(0) if self.replies else b""
        if reply is None:
            self.transport.close()
        else:
            half = len(reply) // 2
            self.transport.write(reply[:half])
            asyncio.get_running_loop().call_later(0.01, self.transport.write, reply[half:])


@pytest.fixture
async def say() -> AsyncIterator[Say]:
    """Return what opens a conversation with a server that gives these replies."""
    stack = AsyncExitStack()

    async def say(replies: Sequence[bytes | None]) -> SmtpProtocol:
        loop, heard = asyncio.get_running_loop(), Server(replies)
        server = await stack.enter_async_context(await loop.create_server(lambda: heard, "127.0.0.1", 0))
        transport, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
        talk = SmtpProtocol(transport)
        stack.callback(heard.transport.close)
        stack.callback(talk.close)
        return talk

    yield say
    await stack.aclose()
    await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        (b"250 2.0.0 ok\r\n", 250, "2.0.0 ok"),
        (b"250\r\n", 250, ""),
        (b"354 go on\n", 354, "go on"),
        (b"250-one\r\n250-\r\n250 two\r\n", 250, "one\n\ntwo"),
        (b"550 \xe4\r\n", 550, "\udce4"),
        (b"250 ok\r\n550 and what nobody asked for\r\n", 250, "ok"),
    ],
)
async def test_a_reply_is_read_however_it_comes(say: Say, said: bytes, code: int, text: str) -> None:
    talk = await say([said])
    assert await talk.ask(b"NOOP\r\n", 5) == (code, text)


@pytest.mark.parametrize("said", [b"what?\r\n", b"250-one\r\nnot a line\r\n", b"2500 ok\r\n", b"250-x\r\n" * MOST])
async def test_what_is_no_reply_is_told_from_one(say: Say, said: bytes) -> None:
    talk = await say([said])
    with pytest.raises(SMTPResponseException):
        await talk.ask(b"NOOP\r\n", 5)


@pytest.mark.parametrize(("said", "out_of_step"), [(b"250 two", True), (b"421 4.4.2 timeout", False)])
async def test_what_comes_unasked_is_nobodys_answer_and_ends_the_connection(
    say: Say, said: bytes, out_of_step: bool
) -> None:
    talk = await say([b"250 one\r\n" + said + b"\r\n", b"250 three\r\n"])
    assert (await talk.ask(b"NOOP\r\n", 5)).text == "one"
    await asyncio.sleep(0.05)
    assert (talk.open, talk.unasked) == (False, out_of_step)
    with pytest.raises(SMTPServerDisconnected):
        await talk.ask(b"NOOP\r\n", 5)


async def test_a_server_that_hangs_up_answers_whoever_waits_and_whoever_comes(say: Say) -> None:
    talk = await say([None])
    for _ in range(2):
        with pytest.raises(SMTPServerDisconnected):
            await talk.ask(b"NOOP\r\n", 5)
    assert not talk.open


async def test_each_question_has_its_own_time_though_they_share_an_alarm(say: Say) -> None:
    """The alarm of the first question rings while a later one, with more time, waits; then comes a shorter one."""
    talk = await say([b"250 ok\r\n", b"", b"250 ok\r\n"])
    loop = asyncio.get_running_loop()
    await talk.ask(b"NOOP\r\n", 0.15)
    began = loop.time()
    with pytest.raises(SMTPReadTimeoutError):
        await talk.ask(b"NOOP\r\n", 0.4)
    assert loop.time() - began >= 0.35
    await talk.ask(b"NOOP\r\n", 60)
    with pytest.raises(SMTPReadTimeoutError):
        await talk.ask(b"NOOP\r\n", 0.05)


@pytest.mark.parametrize("said", [[b"250 one\r\n250-two\r\n250 2\r\n550 three\r\n250 unasked\r\n"],
                                  [b"250 one\r\n250-tw", b"o\r\n250 2\r\n550 three\r\n"]])  # fmt: skip
async def test_commands_of_a_group_get_their_replies_in_order_however_those_come(
    say: Say, said: list[bytes]
) -> None:
    talk = await say(said)
    first, rest = PendingReplies(1, 5), PendingReplies(2, 5)
    talk.send(b"NOOP\r\nNOOP\r\nNOOP\r\n", first, rest)
    if len(said) > 1:
        await asyncio.sleep(0.05)
        talk.send(b"NOOP\r\n")  # has the server say the rest
    assert [reply.text for reply in await first] == ["one"]
    assert [(reply.code, reply.text) for reply in await rest] == [(250, "two\n2"), (550, "three")]


async def test_trouble_with_the_first_of_a_group_is_trouble_for_all_of_it(say: Say) -> None:
    talk = await say([None])
    first, rest = PendingReplies(1, 5), PendingReplies(2, 5)
    talk.send(b"NOOP\r\nNOOP\r\nNOOP\r\n", first, rest)
    for question in (first, rest):
        with pytest.raises(SMTPServerDisconnected):
            await question


async def test_the_time_of_a_question_begins_with_the_reply_before_it(say: Say) -> None:
    talk = await say([b"250 one\r\n"])
    first, rest = PendingReplies(1, 5), PendingReplies(1, 0.1)
    talk.send(b"NOOP\r\nNOOP\r\n", first, rest)
    await first
    with pytest.raises(SMTPReadTimeoutError):
        await rest
