"""`/api/v1/api-keys` over real services: a key makes no key that may do more than itself."""

from tests.integration.web.api.conftest import Office, Program


async def test_a_key_is_made_used_listed_and_revoked(office: Office) -> None:
    admin = await office.program()
    made = await admin.call("POST", "/api-keys", {"name": "shop", "permission": "sending_access"}, 201)
    shop = Program(office.app, made["token"])
    await shop.send()
    assert (await shop.call("GET", "/api-keys", None, 401))["name"] == "restricted_api_key"
    listed = await admin.call("GET", "/api-keys")
    assert [key["name"] for key in listed["data"]] == ["shop", "shop"]
    assert made["token"] not in str(listed)
    gone = await admin.call("DELETE", f"/api-keys/{made['id']}")
    assert gone["deleted"] is True
    assert (await shop.send(403))["name"] == "invalid_api_key"
    assert (await admin.call("DELETE", "/api-keys/nothing", None, 404))["name"] == "not_found"


async def test_a_bound_or_test_key_makes_no_wider_one_and_sees_no_other(office: Office) -> None:
    await office.program()
    bound = await office.program(domains=["shop.example"])
    refused = await bound.call("POST", "/api-keys", {"name": "wide"}, 422)
    assert "shop.example" in refused["message"]
    await bound.call("POST", "/api-keys", {"name": "same", "domain": "shop.example"}, 201)
    test = await office.program(test=True)
    await test.call("POST", "/api-keys", {"name": "real"}, 422)
    unbound = [key for key in (await bound.call("GET", "/api-keys"))["data"] if not key["domains"]]
    assert unbound == []


async def test_what_a_key_cannot_be_is_named(office: Office) -> None:
    admin = await office.program()
    for body, field in (
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "permission": "all"}, "permission"),
        ({"name": "x", "domain": "a b"}, "domains"),
        ({"name": "x", "origins": ["*"]}, "origins"),
        ({"name": "x", "per_day": 0}, "per_day"),
        ([], "body"),
    ):
        refused = await admin.call("POST", "/api-keys", body, 422)
        assert refused["message"].startswith(f"`{field}`"), refused
