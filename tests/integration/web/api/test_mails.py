"""Searching all mails over the API."""

import pytest

from tests.integration.web.api.conftest import Office


async def test_a_full_key_searches_all_mails_by_the_grammar_of_the_desk(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office.services.mail_searches, "_budget", 30.0)  # a busy machine is not what is tested
    full, sends = await office.program(scope="full"), await office.program(scope="sending")
    sent = [await sends.send(to=f"n{number}@example.org", subject=f"Number {number}") for number in range(3)]
    found = await full.call("GET", "/mails?search=to:@example.org&limit=2")
    assert [mail["to"] for mail in found["data"]] == ["n2@example.org", "n1@example.org"]
    assert found["has_more"] and found["looked_to"] is None
    rest = await full.call("GET", f"/mails?search=to:@example.org&limit=2&before={found['next']}")
    [last] = rest["data"]
    assert (last["to"], last["message_id"], last["state"]) == ("n0@example.org", sent[0]["id"], "queued")
    assert not rest["has_more"]
    wrong = await full.call("GET", "/mails?search=colour:red", status=422)
    assert wrong["message"].startswith("`search`: A search knows no “colour:”")
    assert (await full.call("GET", "/mails?limit=0", status=422))["name"] == "validation_error"
    for scope in ("sending", "read"):
        refused = await (await office.program(scope=scope)).call("GET", "/mails", status=401)
        assert refused["name"] == "restricted_api_key"
