"""The access log's line: whose request it was, and nothing that must not be in a log."""

import logging
from typing import Any, cast

import pytest
from hypercorn.config import Config
from hypercorn.typing import ResponseSummary, WWWScope

from mailroom.web.server.access_log import AccessLog

PROXY, ALICE, MADE_UP = "10.0.0.1", "192.0.2.7", "203.0.113.9"


async def line(caplog: pytest.LogCaptureFixture, path: str, hops: int) -> str:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "client": (PROXY, 40000),
        "headers": [(b"x-forwarded-for", f"{MADE_UP}, {ALICE}".encode())],
    }
    with caplog.at_level(logging.INFO, "mailroom.access"):
        log = AccessLog(Config(), hops)
        await log.access(cast(WWWScope, scope), cast(ResponseSummary, {"status": 200, "headers": []}), 0.004)
    return caplog.messages[-1]


@pytest.mark.parametrize(("hops", "shown"), [(0, PROXY), (1, ALICE)])
async def test_the_client_is_shown_as_far_as_proxies_are_trusted(
    caplog: pytest.LogCaptureFixture, hops: int, shown: str
) -> None:
    assert await line(caplog, "/sign-up", hops) == f"{shown} GET /sign-up 200 4 ms"


async def test_a_link_of_confirmation_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    assert "secret" not in await line(caplog, "/confirm/secret", 0)
