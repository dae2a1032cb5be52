"""What stands behind the question mark: what is wrong is refused, and so is a name that nothing has."""

import re
from typing import Any

import pytest

from mailroom.kit.ids import new_id
from tests.integration.web.api.conftest import Office


async def routes_of(office: Office) -> list[tuple[str, str, Any]]:
    """Return method, address and what is documented, of each route for programs with a key."""
    document = await (await office.app.test_client().get("/api/openapi.json")).get_json()
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation.get("security"):
                filled = re.sub(r"{\w+}", str(new_id()), path.removeprefix("/api/v1"))
                found.append((method.upper(), filled, operation))
    return found


async def test_no_route_takes_a_name_that_it_does_not_have(office: Office) -> None:
    full = await office.program(scope="full")
    routes = await routes_of(office)
    assert len(routes) > 30
    for method, path, operation in routes:
        told = await full.call(method, f"{path}?stauts=failed", status=422)
        known = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        takes = f"It takes {', '.join(known)}." if known else "It takes none."
        assert told["message"] == f"`query`: There is no parameter 'stauts' here. {takes}", (method, path)


async def test_who_has_no_key_is_told_that_first(office: Office) -> None:
    answer = await office.app.test_client().get("/api/v1/emails?stauts=failed")
    assert answer.status_code == 401
    sends = await office.program(scope="sending")
    assert (await sends.call("GET", "/mails?stauts=failed", status=401))["name"] == "restricted_api_key"


async def test_a_long_name_is_repeated_in_part(office: Office) -> None:
    full = await office.program(scope="full")
    told = await full.call("GET", f"/emails?{'n' * 3000}=1", status=422)
    assert len(told["message"]) < 200


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/emails?limit=0", "limit"),
        ("/emails?limit=many", "limit"),
        ("/emails?state=sent&state=failed", "state"),
        ("/emails?before=17", "before"),
        ("/emails?after=", "after"),
        ("/emails?state=lost", "state"),
        ("/emails?tag=order", "tag"),
        ("/emails?since=yesterday", "since"),
        ("/mails?limit=many", "limit"),
        ("/mails?before=17", "before"),
        ("/mails?search=colour:red", "search"),
        ("/desk/audit?actor=17", "actor"),
    ],
)
async def test_a_wrong_value_is_named(office: Office, path: str, field: str) -> None:
    full = await office.program(scope="full")
    assert (await full.call("GET", path, status=422))["message"].startswith(f"`{field}`: ")


async def test_the_first_and_the_last_moment_are_moments(office: Office) -> None:
    full = await office.program(scope="full")
    await full.send()
    for since, found in (("0001-01-01T00:00:00%2B14:00", 1), ("9999-12-31T23:59:59-14:00", 0), ("0001-01-01", 1)):
        assert len((await full.call("GET", f"/emails?since={since}"))["data"]) == found, since


async def test_the_number_of_a_delivery_is_one(office: Office) -> None:
    full = await office.program(scope="full")
    body = {"endpoint": "https://shop.example/hooks", "events": ["email.sent"]}
    made = await full.call("POST", "/webhooks", body, 201)
    path = f"/webhooks/{made['id']}/deliveries?before="
    assert (await full.call("GET", f"{path}{2**63 - 1}"))["data"] == []
    for wrong in ("x", "-1", str(2**63), "9" * 5000):
        assert (await full.call("GET", path + wrong, status=422))["message"].startswith("`before`: "), wrong


async def test_the_pages_own_routes_and_watch_tokens_take_no_other_names_either(office: Office) -> None:
    browser = office.app.test_client()
    token = (await (await office.program(scope="full")).send())["watch_token"]
    assert (await browser.get(f"/api/v1/watch/{token}?lang=de&wait=0")).status_code == 200
    told = await (await browser.get(f"/api/v1/watch/{token}?wiat=3")).get_json()
    assert told["message"] == "`query`: There is no parameter 'wiat' here. It takes wait, lang."


async def test_short_lists_have_pages_too(office: Office) -> None:
    full = await office.program(scope="full")
    for number in range(4):
        hooks = {"endpoint": f"https://shop.example/{number}", "events": ["email.sent"]}
        await full.call("POST", "/webhooks", hooks, 201)
        await office.program(name=f"shop {number}")
    for path in ("/webhooks", "/api-keys"):
        whole = await full.call("GET", path)
        ids = [one["id"] for one in whole["data"]]
        assert len(ids) >= 4 and not whole["has_more"]
        for query, wanted, more in (
            ("limit=2", ids[:2], True),
            (f"limit=2&after={ids[1]}", ids[2:4], len(ids) > 4),
            (f"limit=100&after={ids[-1]}", [], False),
            (f"limit=1&before={ids[2]}", ids[1:2], True),
            (f"before={ids[2]}", ids[:2], False),
        ):
            page = await full.call("GET", f"{path}?{query}")
            assert ([one["id"] for one in page["data"]], page["has_more"]) == (wanted, more), (path, query)
        assert (await full.call("GET", f"{path}?after=17", status=422))["message"].startswith("`after`: ")
