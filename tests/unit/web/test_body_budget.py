"""Large bodies share a budget: who comes when it is used up is told to come back, and all is given back."""

import asyncio

import pytest
from quart import Quart, request

from mailroom.kit.byte_budget import Budget
from mailroom.web.parts import part_of
from mailroom.web.requests import BUDGET, Body, read_requests, takes_body

MB = 1024 * 1024


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)
    read_requests(app)
    app.enter, app.leave = asyncio.Event(), asyncio.Event()  # type: ignore[attr-defined]

    @app.post("/large")
    @takes_body(40 * MB)
    async def large() -> str:
        size = len(await request.get_data(cache=False))
        app.enter.set()  # type: ignore[attr-defined]
        await app.leave.wait()  # type: ignore[attr-defined]
        return str(size)

    @app.post("/unread")
    @takes_body(40 * MB)
    async def unread() -> str:
        return "no"

    return app


async def test_who_finds_the_budget_used_up_is_told_to_come_back(app: Quart) -> None:
    client = app.test_client()
    first = asyncio.create_task(client.post("/large", data=bytes(40 * MB)))
    await app.enter.wait()  # type: ignore[attr-defined]
    assert part_of(app, Budget).taken == 40 * MB
    assert (await client.post("/large", data=bytes(30 * MB))).status_code == 503
    app.leave.set()  # type: ignore[attr-defined]
    assert (await first).status_code == 200
    assert part_of(app, Budget).taken == 0
    assert (await client.post("/large", data=bytes(30 * MB))).status_code == 200


async def test_a_body_that_nobody_reads_is_given_back_too(app: Quart) -> None:
    assert (await app.test_client().post("/unread", data=bytes(30 * MB))).status_code == 200
    assert part_of(app, Budget).taken == 0


async def test_what_comes_after_the_answer_is_neither_kept_nor_counted() -> None:
    from mailroom.kit.byte_budget import Share

    budget, body = Budget(BUDGET), Body(None, None)
    body.limit(40 * MB, Share(budget))
    body.append(bytes(MB))
    body.give_up()
    body.append(bytes(MB))
    assert budget.taken == 0 and not body._data
