"""The desk's pages about people over real services, and accounts in the shell."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from mailroom.bootstrap.shell import create_commands
from tests.integration.web.test_desk import ANY, audit, house, with_role
from tests.integration.web.test_task_pages import PASSWORD, House

__all__ = ["house"]


async def signs_in(house: House, email: str, password: str = PASSWORD) -> tuple[int, str]:
    browser = house.app.test_client()
    await browser.get("/sign-in")
    answer = await browser.post("/sign-in", form={"email": email, "password": password})
    return answer.status_code, re.sub(r'data-now="[^"]*"|value="[^"]*"', "", await answer.get_data(as_text=True))


async def test_a_locked_account_is_out_and_nobody_outside_learns_of_it(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    alice = await house.member("alice@example.org")
    wrong = await signs_in(house, "alice@example.org", "wrong horse battery staple pond")
    assert (await signs_in(house, "alice@example.org"))[0] == 303
    place = f"/desk/people/{alice.account_id}"
    assert "Lock…" in await olga.get(place)
    assert await olga.post(f"{place}/lock") == (303, place)
    assert (await alice.browser.get("/account")).status_code in {302, 303, 401}, "her session has ended"
    assert await signs_in(house, "alice@example.org") == wrong
    async with house.services.database.begin() as work:
        row = await house.services.account_administration.get(work, alice.account_id)
        session = (await house.services.sessions.start("a browser")).session
        ticket = await house.services.password_reset.send_link(work, row, session)
    from mailroom.accounts.tokens import NEW_PASSWORD, Tokens
    from tests.conftest import SECRET_KEY

    async with house.services.database.begin() as work:
        mail = await house.services.outbox.find(work, ticket)
    assert mail and mail.nonce
    link = f"/new-password/{Tokens([SECRET_KEY]).token(mail.id, mail.nonce, NEW_PASSWORD)}"
    browser = house.app.test_client()
    assert (await browser.get(link)).status_code == 404
    assert (await browser.post(link, form={"password": "another quiet heron by the lake"})).status_code == 404
    page = await olga.get(place)
    assert "locked" in page and "It is signed in nowhere" in page
    assert await olga.post(f"{place}/unlock") == (303, place)
    assert (await signs_in(house, "alice@example.org"))[0] == 303
    assert (await browser.get(link)).status_code == 200
    acts = [act[:3] for act in await audit(house)]
    assert acts == [
        ("account.unlocked", "olga@example.org", str(alice.account_id)),
        ("account.locked", "olga@example.org", str(alice.account_id)),
    ]


async def test_people_are_found_by_address_beginning_and_domain(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    await house.member("alice@other.example")
    waits = house.app.test_client()
    await waits.get("/sign-up")
    await waits.post("/sign-up", form={"email": "Wanda@other.example", "password": PASSWORD})
    for query, shown in {
        "": {"olga@example.org", "alice@other.example", "Wanda@other.example"},
        "OLGA@example.org": {"olga@example.org"},
        "ol": {"olga@example.org"},
        "@other.example": {"alice@other.example", "Wanda@other.example"},
        "@ther.example": set(),
        "nobody": set(),
    }.items():
        answer = await olga.browser.get("/desk/people", query_string={"q": query})
        found = set(re.findall(r"<bdi>([^<]+)</bdi>", await answer.get_data(as_text=True)))
        assert found == shown, query
    victor = await with_role(house, "victor@example.org", "viewer")
    page = await victor.get("/desk/people?q=alice@other.example")
    assert (
        "a…@other.example" in page
        and "olga@" not in page
        and "o…@example.org" in page
        and 'action="/desk/people' not in page
    )


async def test_an_operator_resends_sends_a_reset_and_grants(house: House) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    alice = await house.member("alice@example.org")
    place = f"/desk/people/{alice.account_id}"
    waits = house.app.test_client()
    await waits.get("/sign-up")
    await waits.post("/sign-up", form={"email": "wanda@example.org", "password": PASSWORD})
    found = re.search(r'action="(/desk/people/sign-ups/[^"]+/resend)"', await olga.get("/desk/people"))
    assert found
    assert (await olga.post(found[1]))[0] == 429, "as for its owner: one mail a minute"
    async with house.services.database.begin() as work:
        await work.session.execute(text("update sign_ups set mailed_at = now() - interval '5 minutes'"))
    status, mail = await olga.post(found[1])
    assert status == 303 and "wanda@example.org" in await olga.get(mail)
    assert await olga.post(f"{place}/new-password") == (303, place)
    assert "Link to a new password" in await olga.get(place)
    answer = await olga.browser.post(f"{place}/role", form={"role": "viewer"})
    assert answer.status_code == 303
    await alice.get("/desk/audit")
    answer = await olga.browser.post(f"{place}/role", form={"role": ""})
    await alice.get("/desk/audit", 404)
    answer = await olga.browser.post(f"{place}/delete", form={"typed": "bob@example.org"})
    assert answer.status_code == 409
    answer = await olga.browser.post(f"{place}/delete", form={"typed": "Alice@example.org"})
    assert answer.status_code == 303
    assert "Deleted on" in await olga.get(place)
    assert await olga.post(f"{place}/keep") == (303, place)
    assert "Deleted on" not in await olga.get(place)
    mine = f"/desk/people/{olga.account_id}"
    for path, form in ((f"{mine}/lock", {}), (f"{mine}/role", {"role": ""})):
        assert (await olga.browser.post(path, form=form)).status_code == 409, path
    assert [act[0] for act in await audit(house)] == [
        "account.deletion_undone", "account.deletion_asked", "role.revoked", "role.granted", "account.reset_sent",
        "sign_up.mailed",
    ]  # fmt: skip
    for path in (f"/desk/people/{ANY}", "/desk/people/nonsense"):
        await olga.get(path, 404)


async def test_accounts_in_the_shell(
    house: House, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alice = await house.member("alice@example.org")
    run = _shell(environment)
    [listed] = json.loads(await asyncio.to_thread(run, "list", "--json"))
    assert (listed["email"], listed["locked_at"]) == ("alice@example.org", None)
    assert "alice@example.org" in await asyncio.to_thread(run, "list", "@example.org")
    assert "signed in:" in await asyncio.to_thread(run, "show", "Alice@example.org")
    assert "The account is locked." in await asyncio.to_thread(run, "lock", "alice@example.org")
    assert "already" in await asyncio.to_thread(run, "lock", "alice@example.org")
    assert (await alice.browser.get("/account")).status_code in {302, 303, 401}
    shown = await asyncio.to_thread(run, "show", "alice@example.org")
    assert "locked since" in shown and "signed in" not in shown
    assert "unlocked" in await asyncio.to_thread(run, "unlock", "alice@example.org")
    assert [act[0] for act in await audit(house)] == ["account.unlocked", "account.locked", "account.locked"]


def _shell(environment: dict[str, str]) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(create_commands(), ["accounts", *arguments], env=environment)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    return run
