"""A mail is in the language of whoever reads it, and its times are by their clock."""

from typing import Any

import pytest

from mailroom.accounts.views import Origin
from mailroom.i18n import languages
from mailroom.i18n.languages import speaking
from mailroom.mail.kinds import TIME_ZONE
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, Reception


async def newest(reception: Reception) -> Any:
    """Language, kind and time zone of the mail that was put last."""
    rows = await reception.rows("select language, kind, params from mails order by created_at desc limit 1")
    language, kind, params = rows[0]
    return language, kind, params.get(TIME_ZONE)


async def test_a_mail_is_in_the_language_of_its_reader_whoever_causes_it(
    reception: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "shipped", lambda: ("en", "de", "zh-Hans"))
    browser = await reception.browser()
    with speaking("de"):
        ticket = await reception.sign_up(browser)
        assert await newest(reception) == ("de", "confirm_sign_up", None)
        alice = (await reception.confirm(ticket, browser)).session
    await reception.wait(hours=2)
    with speaking("zh-Hans"):  # a stranger's browser, or her own at a friend's
        await reception.sign_up(await reception.browser())
        assert await newest(reception) == ("de", "already_have_account", None)
        await reception.forget()
        assert await newest(reception) == ("de", "new_password", None)
        await reception.forget("bob@example.org")
        assert await newest(reception) == ("zh-Hans", "no_account", None)
        await reception.sign_in(ALICE, ALICES)
    await reception.profiles.save(alice, name="", language="zh-Hans", time_zone="Asia/Shanghai")
    with speaking("en"):
        await reception.address_changes.ask(
            alice, email="alice@elsewhere.example", password=ALICES, origin=Origin(FIREFOX)
        )
    rows = await reception.rows(
        "select kind, language, params from mails where created_at > now() - '1 minute'::interval"
    )
    told = {kind: (language, params.get(TIME_ZONE)) for kind, language, params in rows}
    for kind in ("new_address", "security_notice"):
        assert told[kind] == ("zh-Hans", "Asia/Shanghai"), kind
    # What is stored of a browser is the same in every language: it is compared with what comes later.
    assert {name for (name,) in await reception.rows("select device from account_events")} == {"Firefox on Linux"}
