"""Requests that no browser sends: each gets an answer of its own fault (4xx), and none an error of ours."""

import asyncio
import gzip
import os
from collections.abc import Iterator

import pytest

from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.valkey import Valkey
from tests.conftest import database_on
from tests.integration.web.fuzzing import Target, environment_for, target

pytestmark = pytest.mark.xdist_group("hostile")  # one web for the file

JSON = b"Content-Type: application/json\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def web(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with (
        database_on(postgres, f"hostile_{os.getpid()}") as url,
        target(environment_for(url, valkey.url), tmp_path_factory.mktemp("hostile")) as web,
    ):
        yield web


BODIES = [
    '{"email":"a@example.org","password":"x"}'.encode("utf-16"),
    '{"email":"a@example.org","password":"x"}'.encode("utf-32"),
    gzip.compress(b'{"email":"a@example.org"}'),
    b"[" * 2000,
    b'{"a":' * 30_000,
    b"\xff",
    b"",
    b"NaN",
    b"1" * 5000,
    b'{"email":"\\ud800@example.org","password":"otter lamp quiet ferry window"}',
    b'{"email":"a\\u0000@example.org","password":"otter lamp quiet ferry window"}',
    b'{"email":"a@example.org","password":"otter lamp \\u0000quiet ferry window"}',
    b'{"email":["a"],"password":{"b":1}}',
    b'{"email":' + b"9" * 5000 + b',"password":1e999}',
]


@pytest.mark.parametrize("path", [b"/sign-up", b"/sign-in", b"/new-password", b"/confirm"])
async def test_json_that_is_none_is_the_senders_fault(web: Target, path: bytes) -> None:
    for body in BODIES:
        for headers in (JSON, JSON + b"Content-Encoding: gzip\r\n"):
            answers = await web.answers(web.request(path, method=b"POST", headers=headers, body=body))
            assert len(answers) == 1 and 400 <= answers[0] < 500, (path, body[:40], answers)
    await web.is_well()


FORMS = [
    (FORM, b"email=\xff\xfe&password=\xff"),
    (FORM, b"email=a%00@example.org&password=otter+lamp+quiet+ferry+window"),
    (FORM, b"email=a@example.org&password=otter+lamp+%00quiet+ferry+window"),
    (FORM, b"&".join([b"a=b"] * 10_000)),
    (FORM, b"email=%ED%A0%80@example.org&password=otter+lamp+quiet+ferry+window"),
    (b"Content-Type: multipart/form-data\r\n", b"--x\r\n\r\n"),
    (b"Content-Type: multipart/form-data; boundary=\r\n", b"--\r\n\r\n"),
    (b"Content-Type: multipart/form-data; boundary=\xff\r\n", b"--\xff\r\n\r\n"),
    (b"Content-Type: multipart/form-data; boundary=x\r\n", b'--x\r\nContent-Disposition: form-data; name="email'),
    (
        b"Content-Type: multipart/form-data; boundary=x\r\n",
        b"--x\r\nContent-Disposition: form-data; name=b\r\nContent-Type: a;charset=ascii\r\n\r\n\xff\xfe\r\n--x--",
    ),
    (
        b"Content-Type: multipart/form-data; boundary=x\r\n",
        b'--x\r\nContent-Disposition: form-data; name="email"; filename="\xff"\r\n\r\nabc\r\n--x--\r\n',
    ),
    (b"Content-Type: multipart/form-data; boundary=" + b"x" * 9000 + b"\r\n", b"--x\r\n\r\n"),
    (b"Content-Type: \xff\xff\r\n", b"abc"),
    (b"Content-Type: application/json; charset=\xff\r\n", b"{}"),
    (b"", b"abc"),
]


@pytest.mark.parametrize("path", [b"/sign-up", b"/sign-in", b"/new-password", b"/confirm"])
async def test_forms_that_are_none_are_the_senders_fault(web: Target, path: bytes) -> None:
    for headers, body in FORMS:
        answers = await web.answers(web.request(path, method=b"POST", headers=headers, body=body))
        assert len(answers) == 1 and 400 <= answers[0] < 500, (path, headers[:80], body[:40], answers)
    await web.is_well()


TARGETS = [
    b"?x",
    b"*",
    b"x",
    b"//",
    b"///",
    b"//sign-in",
    b"http://",
    b"http://[",
    b"http://x",
    b"http://x?y",
    b"http://localhost/sign-in",
    b"https://localhost:99999/sign-in",
    b"ftp://x/y",
    b"localhost:80",
    b"/%00",
    b"/%",
    b"/%ff%fe",
    b"/sign-in%00",
    b"/sign-in?x=%00",
    b"/sign-in?%ff=%fe",
    b"/sign-in?" + b"&" * 9000,
    b"/static/x/../favicon.svg",
    b"/static/./favicon.svg",
    b"/static/../app.py",
    b"/static/" + b"a" * 300,
    b"/static/" + b"a/" * 3000,
    b"/static/%00",
    b"/static/favicon.svg%00",
    b"/static/favicon.svg/",
    b"/static/",
    b"/static//favicon.svg",
    b"/confirm/%00",
    b"/confirm/" + b"a" * 5000,
    b"/new-password/%ff",
    b"/mails/%00",
    b"/mails/" + b"9" * 5000,
    b"/tasks/%ED%A0%80",
    b"/tasks?state=%00",
    b"/tasks?state=sent%00",
    b"/tasks?before=%00",
    b"/tasks?before=" + b"9" * 4000,
    b"/tasks?limit=" + b"9" * 4000,
    b"/api/v1/tasks?state=%00",
    b"/api/v1/tasks?before=%00",
    b"/api/v1/tasks?limit=" + b"9" * 4300,
    b"/api/v1/tasks?limit=%D9%A3",
    b"/api/v1/tasks/%00",
    b"/api/v1/tasks/%00?wait=1e400",
    b"/account/sessions/%00/end",
    b"/live",
    b"/live?%00",
]


@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"CONNECT", b"get", b"FOO"])
async def test_no_target_is_an_error_of_ours(web: Target, method: bytes) -> None:
    for asked in TARGETS:
        for signed_in in (True, False):
            sent = web.request(asked, method=method, signed_in=signed_in, body=b"" if method == b"POST" else None)
            answers = await web.answers(sent)
            assert len(answers) == 1 and answers[0] < 500, (method, asked[:60], answers)
    await web.is_well()


HOSTS = [
    b"[",
    b"a..b",
    b".",
    b"..",
    b"a" * 64 + b".example",
    b"a" * 300,
    b"\xff",
    b"xn--\xff",
    b"xn--a.example",
    b"localhost:x",
    b"localhost:999999",
    b"a@b",
    b"[::1%25]",
    b"\xe2\x80\xa8",
    b"",
]


async def test_no_host_is_an_error_of_ours(web: Target) -> None:
    for host in HOSTS:
        for path in (b"/", b"/sign-in", b"/live", b"/nowhere", b"//sign-in"):
            sent = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n" % (path, host)
            for more in (b"\r\n", b"X-Forwarded-Host: %s\r\n\r\n" % host, HANDSHAKE + b"\r\n"):
                answers = await web.answers(sent + web.client() + more)
                assert len(answers) == 1 and 400 <= answers[0] < 500, (host, path, more, answers)
    await web.is_well()


HEADERS = [
    b"Host: [\r\n",
    b"Cookie: mailroom=\xff\r\n",
    b"Cookie: mailroom=" + b"a" * 9000 + b"\r\n",
    b"Cookie: ;;;===;\xff\xfe=\xff\r\n",
    b"Accept: \xff\r\n",
    b"Accept: text/html;q=\xff\r\n",
    b"Accept: ;q=1e999,;;;q=nan\r\n",
    b"Accept-Language: \xff;q=x\r\n",
    b"Accept-Language: " + b"a," * 4000 + b"\r\n",
    b"Range: bytes=-\xff\r\n",
    b"Range: bytes=5-1\r\n",
    b"Range: bytes=999999999999999999999-\r\n",
    b"If-None-Match: \xff\r\n",
    b"If-Modified-Since: Sun, 99 Nov 99999999 99:99:99 GMT\r\n",
    b"If-Range: \xff\r\n",
    b"Origin: http://[\r\n",
    b"Origin: \xff\r\n",
    b"Referer: http://[\r\n",
    b"Sec-Fetch-Site: \xff\r\n",
    b"User-Agent: \xff\xfe\x80\r\n",
    b"Authorization: Bearer \xff\r\n",
    b"X-Forwarded-For: \xff\r\n",
    b"X-Forwarded-For: [::1%eth0]:99999\r\n",
    b"X-Forwarded-Proto: \xff\r\n",
    b"X-Forwarded-Host: [\xff\r\n",
    b"X-Forwarded-Host: a\xff.example\r\n",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Expect: 200-ok\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: \xff\r\n",
    b"Upgrade: websocket\r\n",
]
PATHS = [
    b"/",
    b"/sign-in",
    b"/static/mailroom.css",
    b"/api/v1/tasks",
    b"/metrics",
    b"/readyz",
    b"/no",
    b"/account",
]


@pytest.mark.parametrize("path", PATHS)
async def test_no_header_is_an_error_of_ours(web: Target, path: bytes) -> None:
    for headers in HEADERS:
        for method in (b"GET", b"POST"):
            answers = await web.answers(web.request(path, method=method, headers=headers), seconds=1)
            assert all(answer < 500 for answer in answers), (method, path, headers[:80], answers)
    await web.is_well()


@pytest.mark.parametrize(
    "headers",
    [
        HANDSHAKE + b"Sec-WebSocket-Protocol: \xff\r\n",
        HANDSHAKE + b"Sec-WebSocket-Extensions: \xff\r\n",
        HANDSHAKE + b"Connection: \xff\r\n",
        HANDSHAKE + b"Upgrade: \xff\r\n",
        HANDSHAKE + b"Cookie: mailroom=\xff\r\n",
        HANDSHAKE + b"Origin: http://[\r\n",
        HANDSHAKE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"\xff"),
        HANDSHAKE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
        HANDSHAKE.replace(b"13", b"\xff"),
        HANDSHAKE.replace(b"Version: 13", b"Version: 8"),
        HANDSHAKE.replace(b"Upgrade: websocket", b"Upgrade: h2c, websocket"),
        HANDSHAKE.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
        HANDSHAKE + b"Content-Length: 5\r\n",
        HANDSHAKE + b"Transfer-Encoding: chunked\r\n",
    ],
)
@pytest.mark.parametrize("path", [b"/live", b"/nowhere", b"/sign-in", b"?x", b"/live%00", b"http://["])
async def test_no_handshake_is_an_error_of_ours(web: Target, path: bytes, headers: bytes) -> None:
    for signed_in in (True, False):
        sent = web.request(path, headers=headers, signed_in=signed_in).replace(b"Connection: close\r\n", b"", 1)
        answers = await web.answers(sent, seconds=0.5)
        assert all(answer < 500 for answer in answers) and answers, (path, headers[-80:], answers)
    await web.is_well()


MADE_UP = [
    (b"/static/%s/favicon.svg", b""),
    (b"/static/favicon.svg?v=%s", b""),
    (b"/made-up/%s", b""),
    (b"/mails/%s", b""),
    (b"/confirm/%s", b""),
    (b"/sign-in?next=%s", b"User-Agent: %s\r\nAccept-Language: %s\r\nAccept: text/%s\r\nReferer: http://%s/\r\n"),
    (b"/api/v1/tasks/%s", b"Cookie: mailroom=%s\r\nIf-None-Match: %s\r\n"),
    (b"/live", HANDSHAKE + b"Cookie: mailroom=%s\r\n"),
]


@pytest.mark.parametrize(("asked", "headers"), MADE_UP)
async def test_names_that_a_stranger_makes_up_are_not_kept(web: Target, asked: bytes, headers: bytes) -> None:
    """Each name is thousands of bytes long: a process that keeps them grows by megabytes."""

    async def many(first: int, last: int) -> None:
        for number in range(first, last):
            name = b"./" * (2500 + number) + b"." if b"favicon.svg" in asked else os.urandom(3000).hex().encode()
            more = headers.replace(b"%s", name[:700])
            await web.answers(web.request(asked.replace(b"%s", name), headers=more))

    await many(0, 200)
    before = web.memory()
    await many(200, 800)  # of 6,000 bytes: 3.6 MB
    assert web.memory() - before < 2
    await web.is_well()


@pytest.mark.parametrize("path", [b"/sign-up", b"/sign-in", b"/confirm", b"/no"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_that_is_too_large_is_told_the_limit_and_not_kept(
    web: Target, path: bytes, chunked: bool
) -> None:
    body = b"email=" + b"a" * 3_000_000
    headers = FORM
    if chunked:
        headers += b"Transfer-Encoding: chunked\r\n"
        body = b"".join(b"ffff\r\n" + b"a" * 0xFFFF + b"\r\n" for _ in range(46)) + b"0\r\n\r\n"
    sent = web.request(path, method=b"POST", headers=headers, body=None if chunked else body)
    before = web.memory()
    answers = await asyncio.gather(*(web.send(sent + (body if chunked else b"")) for _ in range(20)))
    assert {answer[:12] for answer in answers} <= {b"HTTP/1.1 413", b"HTTP/1.1 404"}
    if path != b"/no":
        assert all(b"at most 64 KB" in answer for answer in answers)
    assert web.memory() - before < 20
    await web.is_well()


async def test_clients_that_vanish_leave_no_error_behind(web: Target) -> None:
    handshake = web.request(b"/live", headers=HANDSHAKE, signed_in=True).replace(b"Connection: close\r\n", b"", 1)
    watch = b'\x81\x8d\0\0\0\0{"watch":["x"]'
    half = web.request(b"/sign-in", method=b"POST", headers=FORM + b"Content-Length: 500\r\n")
    pages = [web.request(path, signed_in=True) for path in (b"/account", b"/tasks", b"/api/v1/tasks/x?wait=9")]
    for sent in (handshake, handshake + watch, half, *pages):
        for pause in (0, 0.002, 0.02, 0.2):
            _, writer = await asyncio.open_connection("127.0.0.1", web.port)
            writer.write(sent)
            await asyncio.sleep(pause)
            writer.transport.abort()
    await asyncio.sleep(0.3)
    await web.is_well()
    assert " error " not in web.process.text, web.process.text[-4000:]
