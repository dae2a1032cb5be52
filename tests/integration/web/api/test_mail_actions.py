"""Acts on all mails of a search over the API."""

from uuid import UUID

import pytest
from sqlalchemy import text

from mailroom.kit.ids import new_id
from tests.integration.web.api.conftest import Office

FAIL = "update mails set state = 'failed', ended_at = now(), nudge_at = null where recipient like :who"


async def test_a_program_sends_failed_mails_again_and_counts_before_it_cancels(
    office: Office,
) -> None:
    full, bound = await office.program(scope="full"), await office.program(scope="full", domains=["shop.example"])
    for number in range(5):
        await full.send(to=f"n{number}@example.org")
    async with office.services.database.begin() as work:
        await work.session.execute(text(FAIL), {"who": "n%"})
    wish, under = {"action": "retry", "search": "state:failed"}, {"Idempotency-Key": "once"}
    made = await full.call("POST", "/mails/actions", wish, 202, under)
    assert (made["state"], made["total"], made["changed"], made["search"]) == ("queued", None, 0, "state:failed")
    again = await full.call("POST", "/mails/actions", wish, 202, under)
    assert again["id"] == made["id"], "a repeat begins nothing"
    other = await full.call("POST", "/mails/actions", {**wish, "search": "state:expired"}, 409, under)
    assert other["name"] == "invalid_idempotent_request"

    async with office.services.database.begin() as work:
        run = text("update tasks set state = 'running', attempt = 1, cancellable = true where id = :id")
        await work.session.execute(run, {"id": UUID(made["id"])})
    await office.services.bulk_actions.run(UUID(made["id"]), lambda _done, _total: None)
    told = await full.call("GET", f"/mails/actions/{made['id']}")
    assert (told["total"], told["changed"], told["left_alone"]) == (5, 5, 0)

    wish = {"action": "cancel", "search": "to:@example.org"}
    for expected in (None, 4):
        refused = await full.call("POST", "/mails/actions", {**wish, "expected": expected}, 422)
        assert refused["message"] == "`expected`: The search matches 5 mails now. Send that number as `expected`."
    second = await full.call("POST", "/mails/actions", {**wish, "expected": 5}, 202)
    stopped = await full.call("POST", f"/mails/actions/{second['id']}/cancel")
    assert stopped["state"] == "cancelled"
    assert (await full.call("POST", f"/mails/actions/{second['id']}/cancel", status=422))[
        "message"
    ] == "It has ended."

    for wrong, field in (
        ({"action": "burn", "search": ""}, "action"),
        ({"action": "retry", "search": "colour:red"}, "search"),
    ):
        told = await full.call("POST", "/mails/actions", wrong, 422)
        assert told["message"].startswith(f"`{field}`"), told
    for one in (str(new_id()), "nothing"):
        assert (await full.call("GET", f"/mails/actions/{one}", status=404))["name"] == "not_found"
    for program in (bound, await office.program(scope="read")):
        for method, path, body in (
            ("POST", "/mails/actions", {"action": "retry", "search": ""}),
            ("GET", f"/mails/actions/{made['id']}", None),
            ("POST", f"/mails/actions/{second['id']}/cancel", None),
        ):
            assert (await program.call(method, path, body, 401))["name"] == "restricted_api_key"
    async with office.services.database.begin() as work:
        log = [(entry.actor, entry.action) for entry in await office.services.audit_log.entries(work)]
    assert log == [
        ("key", "task.cancelled"),
        ("key", "mails.cancel"),
        ("mailroom", "mails.retry_ended"),
        ("key", "mails.retry"),
    ]


async def test_a_repeat_counts_no_mails_and_acts_are_ten_a_minute(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, under = await office.program(), {"Idempotency-Key": "once"}
    wish = {"action": "cancel", "search": "to:@example.org", "expected": 0}
    made = await full.call("POST", "/mails/actions", wish, 202, under)

    async def count(*_: object) -> int:
        raise AssertionError("counting is dear")

    monkeypatch.setattr(office.services.bulk_actions, "count", count)
    assert (await full.call("POST", "/mails/actions", wish, 202, under))["id"] == made["id"]
    conflict = await full.call("POST", "/mails/actions", {**wish, "expected": 1}, 409, under)
    assert conflict["name"] == "invalid_idempotent_request"

    headers = {"Authorization": f"Bearer {full.secret}"}
    answers = [
        await office.app.test_client().post("/api/v1/mails/actions", json={}, headers=headers) for _ in range(15)
    ]
    assert answers[0].status_code == 422
    refused = answers[-1]
    assert (refused.status_code, refused.headers["RateLimit-Limit"]) == (429, "10")
    assert int(refused.headers["Retry-After"]) <= 6
    await full.call("GET", f"/mails/actions/{made['id']}")
