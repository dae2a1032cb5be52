"""`/api/v1/webhooks` over real services, in Resend's form."""

import pytest

from tests.integration.web.api.conftest import Office

HOOK = {"endpoint": "https://shop.example/hooks", "events": ["email.sent", "email.failed"]}


async def test_an_endpoint_is_made_shown_changed_and_removed(office: Office) -> None:
    admin = await office.program()
    made = await admin.call("POST", "/webhooks", HOOK, 201)
    assert made["object"] == "webhook" and made["signing_secret"].startswith("whsec_")
    shown = await admin.call("GET", f"/webhooks/{made['id']}")
    assert (shown["status"], shown["events"], shown["signing_secret"]) == (
        "enabled",
        ["email.failed", "email.sent"],
        made["signing_secret"],
    )
    await admin.call("PATCH", f"/webhooks/{made['id']}", {"status": "disabled", "events": ["email.sent"]})
    listed = (await admin.call("GET", "/webhooks"))["data"][0]
    assert (listed["status"], listed["events"], listed["disabled_reason"]) == (
        "disabled",
        ["email.sent"],
        "by hand",
    )
    assert "signing_secret" not in listed
    await admin.call("PATCH", f"/webhooks/{made['id']}", {"status": "enabled"})
    assert (await admin.call("GET", f"/webhooks/{made['id']}/deliveries"))["data"] == []
    gone = await admin.call("DELETE", f"/webhooks/{made['id']}")
    assert gone["deleted"] is True
    await admin.call("GET", f"/webhooks/{made['id']}", None, 404)


async def test_types_that_nothing_makes_yet_are_taken_and_named(office: Office) -> None:
    admin = await office.program()
    wanted = ["email.sent", "email.delivered", "email.bounced", "email.complained"]
    made = await admin.call("POST", "/webhooks", {**HOOK, "events": wanted}, 201)
    assert made["events"] == sorted(wanted)
    assert made["reserved_events"] == ["email.bounced", "email.complained", "email.delivered"]
    await admin.call("PATCH", f"/webhooks/{made['id']}", {"events": ["email.sent"]})
    assert (await admin.call("GET", f"/webhooks/{made['id']}"))["reserved_events"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"endpoint": "http://127.0.0.1/"}, "private network"),
        ({"endpoint": "http://[::ffff:10.0.0.1]/"}, "private network"),
        ({"endpoint": "ftp://shop.example"}, "looks like"),
        ({"events": ["email.opened"]}, "`events`"),
        ({"events": []}, "`events`"),
        ({"endpoint": 7}, "`endpoint`"),
    ],
)
async def test_what_an_endpoint_cannot_be_is_told(office: Office, change: dict[str, object], words: str) -> None:
    admin = await office.program()
    refused = await admin.call("POST", "/webhooks", {**HOOK, **change}, 422)
    assert words in refused["message"]


async def test_a_bound_key_sees_only_its_own_and_a_sending_key_none(office: Office) -> None:
    admin, bound = await office.program(), await office.program(domains=["shop.example"])
    made = await admin.call("POST", "/webhooks", HOOK, 201)
    assert (await bound.call("GET", "/webhooks"))["data"] == []
    await bound.call("GET", f"/webhooks/{made['id']}", None, 404)
    await bound.call("PATCH", f"/webhooks/{made['id']}", {"status": "disabled"}, 404)
    sending = await office.program(scope="sending")
    assert (await sending.call("GET", "/webhooks", None, 401))["name"] == "restricted_api_key"
