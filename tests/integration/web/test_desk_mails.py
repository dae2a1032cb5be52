"""The desk's pages about mails over real services: searching, one mail, acts on one and on all."""

import json
import re
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from mailroom.accounts.sign_up.sign_ups import CONFIRM
from mailroom.accounts.tokens import CONFIRMATION, NEW_ADDRESS, NEW_PASSWORD, NOT_ME, Tokens
from mailroom.api_keys.keys import KeyRequest
from mailroom.desk.search import NAMES
from mailroom.kit import clock
from mailroom.mail.messages.addresses import Mailbox
from mailroom.mail.messages.draft import Draft
from tests.conftest import SECRET_KEY
from tests.integration.web.test_desk import ANY, audit, house, with_role
from tests.integration.web.test_task_pages import House, Person

__all__ = ["house"]


@pytest.fixture
async def olga(house: House, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setattr(house.services.mail_searches, "_budget", 30.0)  # a busy machine is not what is tested
    return await with_role(house, "olga@example.org", "operator")


async def message(house: House, to: str = "carol@example.net", **facts: Any) -> UUID:
    """Hand in a message; return the mail of its only recipient."""
    have = house.services
    draft = Draft(
        sender=Mailbox("", "shop@mailroom.example"),
        to=[Mailbox("", to)],
        subject=facts.pop("subject", "Your invoice"),
        html="<h1>Invoice</h1><script>alert(1)</script>",
        text="Invoice",
    )
    async with have.database.begin() as work:
        key, _ = await have.api_keys.create(work, KeyRequest("Shop"))
        [message_id] = await have.acceptance.accept(work, key, [draft])
        found: UUID = await work.session.scalar(
            text("select id from mails where message_id = :id"), {"id": message_id}
        )
        for name, value in facts.items():
            await work.session.execute(
                text(f"update mails set {name} = :v where id = :id"), {"v": value, "id": found}
            )
    return found


async def state(house: House, mail: UUID) -> str:
    async with house.services.database.begin() as work:
        return str(await work.session.scalar(text("select state from mails where id = :id"), {"id": mail}))


async def test_a_search_is_an_address_a_form_and_a_saved_name(house: House, olga: Person) -> None:
    mail = await message(house, state="failed", code=550, enhanced="5.1.1", answer="5.1.1 No <such> user")
    page = await olga.get("/desk/mails?q=state:failed")
    for words in (
        "carol@example.net",
        "Your invoice",
        "550 5.1.1 No &lt;such&gt; user",
        "1 mail",
        "of the last 7 days",
    ):
        assert words in page, words
    assert f'href="/desk/mails/{mail}"' in page
    assert "No mail matches" in await olga.get("/desk/mails?q=state:suppressed")
    answer = await olga.browser.get("/desk/mails?q=state:failed%20words&state=&code=550&key=My%20shop&to=")
    assert answer.headers["Location"] == "/desk/mails?q=key%3A%22My+shop%22+code%3A550+words"
    page = await olga.get("/desk/mails?q=colour:red", 422)
    assert "knows no “colour:”" in page and 'value="colour:red"' in page
    await olga.browser.post("/desk/searches", form={"q": "state:failed", "name": "Bounces"})
    page = await olga.get("/desk/mails")
    found = re.search(r'action="(/desk/searches/[^"]+/delete)"', page)
    assert "★ Bounces" in page and found
    await olga.post(found[1])
    assert "Bounces" not in await olga.get("/desk/mails")


async def test_the_pages_of_a_search_lead_on_to_the_last_mail(
    house: House, olga: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.web.desk.mails.SHOWN", 2)
    put = [await message(house, f"n{number}@example.net") for number in range(5)]
    for search in ("", "?q=to%3A%40example.net+since%3A1h"):
        seen, path = list[str](), f"/desk/mails{search}"
        while path:
            page = await olga.get(path)
            seen += re.findall(r'href="/desk/mails/([0-9a-f-]{36})"', page)
            older = re.search(r'href="([^"]*below=[^"]*)"', page)
            path = older[1].replace("&amp;", "&") if older else ""
        assert seen[:5] == [str(mail) for mail in reversed(put)], search
        assert len(set(seen)) == len(seen), "each once"


async def test_suggestions_follow_what_is_typed(house: House, olga: Person) -> None:
    await message(house)

    async def suggested(words: str) -> list[str]:
        answer = await olga.browser.get("/desk/mails/suggestions", query_string={"q": words})
        found: list[str] = json.loads(await answer.get_data())["suggestions"]
        return found

    assert await suggested("st") == ["state:", "stream:"]
    assert await suggested("to:@a.example state:s") == [
        "to:@a.example state:scheduled", "to:@a.example state:sending", "to:@a.example state:sent",
        "to:@a.example state:suppressed",
    ]  # fmt: skip
    assert await suggested("key:") == ["key:Shop"]
    assert await suggested("x ") == [f"x {name}:" for name in NAMES][:12]


async def test_one_mail_shows_its_attempts_its_content_and_what_is_like_it(house: House, olga: Person) -> None:
    mail, other = await message(house, state="failed", code=550, answer="No such user"), await message(house)
    async with house.services.database.begin() as work:
        await work.session.execute(
            text(
                "insert into attempts (mail_id, attempt, worker, server, outcome, code, answer, ended_at) "
                "values (:id, 1, 'w1', 'mx.example', 'failed', 550, 'No such user', now())"
            ),
            {"id": mail},
        )
    page = await olga.get(f"/desk/mails/{mail}")
    for words in (
        "Attempt 1",
        "mx.example",
        "No such user",
        "Queued → Sending → Failed",
        f"/desk/mails/{other}",
        "Shop",
    ):
        assert words in page, words
    assert "code%3A550" in page and "to%3Acarol%40example.net" in page
    assert f'src="/desk/mails/{mail}/content" sandbox>' in page
    answer = await olga.browser.get(f"/desk/mails/{mail}/content")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox;") and "default-src 'none'" in policy and "allow" not in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "<h1>Invoice</h1>" in await answer.get_data(as_text=True)
    for unknown in (ANY, "nonsense"):
        await olga.get(f"/desk/mails/{unknown}", 404)


async def test_links_and_codes_of_secret_mails_are_masked(house: House, olga: Person) -> None:
    kinds = [kind.name for kind in house.services.mail_kinds if kind.name != "message"]
    params = {"subject": "S", "text": "T", "event": "password_changed", "device": "a browser", "url": "u"}
    async with house.services.database.begin() as work:
        mails = {kind: await house.services.outbox.put(work, kind, "dora@example.org", params) for kind in kinds}
    tokens, seen = Tokens([SECRET_KEY]), 0
    for kind, mail_id in mails.items():
        async with house.services.database.begin() as work:
            mail = await house.services.outbox.find(work, mail_id)
        assert mail and mail.nonce
        page = await olga.get(f"/desk/mails/{mail_id}")
        if "cannot be rendered" in page:
            continue  # it needs other parameters
        seen += 1
        page += await (await olga.browser.get(f"/desk/mails/{mail_id}/content")).get_data(as_text=True)
        for purpose in (CONFIRMATION, NEW_PASSWORD, NEW_ADDRESS, NOT_ME):
            assert tokens.token(mail.id, mail.nonce, purpose) not in page, kind
        if kind == CONFIRM:
            assert tokens.code(mail.id, mail.nonce) not in page
            assert "/confirm/••••••••" in page
    assert seen >= 5


async def test_an_operator_retries_cancels_and_sends_a_copy(house: House, olga: Person) -> None:
    mail = await message(house, state="failed", ended_at=clock.now())
    assert await olga.post(f"/desk/mails/{mail}/retry") == (303, f"/desk/mails/{mail}")
    assert await state(house, mail) == "queued"
    assert await olga.post(f"/desk/mails/{mail}/cancel") == (303, f"/desk/mails/{mail}")
    assert await state(house, mail) == "cancelled"
    answer = await olga.browser.post(f"/desk/mails/{mail}/cancel")
    assert answer.status_code == 409
    assert "only one that is queued, waits or is uncertain" in await answer.get_data(as_text=True)
    sent = await message(house, state="sent", ended_at=clock.now())
    status, place = await olga.post(f"/desk/mails/{sent}/again")
    assert status == 303 and place != f"/desk/mails/{sent}"
    page = await olga.get(place)
    assert "Your invoice" in page and "carol@example.net" in page and "Queued" in page
    async with house.services.database.begin() as work:
        rows = await work.session.execute(text("select raw from message_contents order by message_id"))
        raws = [bytes(row[0]) for row in rows]
    ids = [re.search(rb"(?im)^message-id: (\S+)", raw)[1] for raw in raws]  # type: ignore[index]
    assert len(set(ids)) == 3, "a mailbox drops what has a Message-ID that it knows"
    assert raws[1].partition(b"\r\n\r\n")[2] == raws[2].partition(b"\r\n\r\n")[2]
    assert (await olga.post(f"/desk/mails/{mail}/again"))[0] == 409
    acts = [(act[0], act[2]) for act in await audit(house)]
    assert acts == [("mail.sent_again", str(sent)), ("mail.cancelled", str(mail)), ("mail.retried", str(mail))]


async def test_all_mails_of_a_search_are_counted_confirmed_and_given_to_a_task(house: House, olga: Person) -> None:
    for number in range(3):
        await message(house, f"n{number}@example.net", state="retrying")
    page = await olga.get("/desk/mails/all?q=state:retrying&act=cancel")
    until = re.search(r'name="until" value="([^"]+)"', page)
    assert "3 mails match." in page and until
    await message(house, "later@example.net", state="retrying")  # it came after the page
    form = {"q": "state:retrying", "act": "cancel", "until": until[1]}
    answer = await olga.browser.post("/desk/mails/all", form={**form, "typed": "4"})
    assert answer.status_code == 422
    assert "3 mails match now" in await answer.get_data(as_text=True)
    answer = await olga.browser.post("/desk/mails/all", form={**form, "typed": "3"})
    place = answer.headers["Location"]
    assert re.fullmatch(r"/tasks/[0-9a-f-]{36}", place)
    assert "Cancel: all mails of “state:retrying”" in await olga.get(place)
    await house.services.bulk_actions.run(UUID(place[7:]), lambda _done, _total: None)
    async with house.services.database.begin() as work:
        rows = await work.session.execute(text("select recipient from mails where state = 'cancelled' order by 1"))
        assert [row[0] for row in rows] == ["n0@example.net", "n1@example.net", "n2@example.net"]
    assert [act[0] for act in await audit(house)] == ["mails.cancel_ended", "mails.cancel"]
    await olga.get("/desk/mails/all?q=&act=everything", 404)


async def test_a_viewer_sees_states_and_neither_addresses_nor_contents(house: House, olga: Person) -> None:
    mail = await message(house, state="failed", code=550, answer="<carol@example.net> is unknown")
    victor = await with_role(house, "victor@example.org", "viewer")
    pages = [await victor.get("/desk/mails?q=state:failed"), await victor.get(f"/desk/mails/{mail}")]
    for page in pages:
        assert "c…@example.net" in page
        for hidden in ("carol@", "Your invoice", "/content", 'action="/desk/mails/', "Send all"):
            assert hidden not in page, hidden
    assert "550" in pages[0]
    await victor.get(f"/desk/mails/{mail}/content", 404)
    await victor.get("/desk/mails/all?q=state:failed&act=retry", 404)
    for query in ("to:carol@example.net", '"carol@example.net"'):
        assert "searches by whole domains" in await victor.get(f"/desk/mails?q={query}", 422)
    assert "c…@example.net" in await victor.get("/desk/mails?q=to:@example.net")


async def test_failures_are_grouped_with_advice_and_the_way_to_mend_them(house: House, olga: Person) -> None:
    spam = {"code": 550, "enhanced": "5.7.1", "reason": "policy refused", "answer": "Message <looks> like spam"}
    ended = {"state": "failed", "ended_at": clock.now()}
    for name in ("a", "b"):
        await message(house, f"{name}@example.net", **ended, **spam)
    await message(house, "c@other.example", **ended, code=552, reason="mailbox refused", answer="full")
    recovered = await message(house, "d@example.net", state="sent", ended_at=clock.now())
    async with house.services.database.begin() as work:
        await work.session.execute(
            text(
                "insert into attempts (mail_id, attempt, worker, outcome, reason, code, enhanced, ended_at)"
                " values (:id, 1, 'w', 'retrying', 'policy refused', 550, '5.7.1', now())"
            ),
            {"id": recovered},
        )
    page = await olga.get("/desk/failures")
    first, second = page.index("Policy refused"), page.index("Mailbox refused")
    assert first < second, "the largest group comes first"
    for words in ("2 mails", "1 more was sent in a later attempt", "like spam", "SPF, DKIM and DMARC"):
        assert words in page[first:second], words
    assert "&lt;looks&gt;" in page and "slip of the pen" not in page
    href = re.search(r'href="(/desk/mails/all[^"]+act=retry)"', page)
    assert href
    assert "2 mails match" in await olga.get(href[1].replace("&amp;", "&"))
    victor = await with_role(house, "victor@example.org", "viewer")
    assert "/desk/mails/all" not in await victor.get("/desk/failures?since=30d")
