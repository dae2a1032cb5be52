"""Signing in by way of other sites: real providers on loopback, which sign real tokens, and bend what they say."""

import asyncio
import base64
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp
import pytest
import redis
from quart.typing import TestAppProtocol as App
from quart.typing import TestClientProtocol as Client
from sqlalchemy import text

from mailroom.accounts.tokens import INVITATION, NEW_PASSWORD, NOT_ME, Tokens
from mailroom.bootstrap.web import create_web
from mailroom.kit.ids import parse_id
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.parts import part_of
from tests.conftest import SECRET_KEY
from tests.integration.web.test_settings_pages import member, run, turn_on, went_to
from tests.oidc_provider import CLIENT, Claims, Provider, new_key, running_provider, signed

SECURITY = "/account/security"
BOB = {"email": "bob@example.org", "password": "otter lamp quiet ferry window"}


@dataclass
class World:
    app: App
    one: Provider
    two: Provider

    @property
    def services(self) -> Services:
        return part_of(self.app.app, Services)


@pytest.fixture(scope="module")
def providers() -> Iterator[tuple[Provider, Provider]]:
    with running_provider() as one, running_provider("/realms/staff") as two:
        yield one, two


@pytest.fixture
async def world(settings: Settings, providers: tuple[Provider, Provider]) -> AsyncIterator[World]:
    async for world in world_under(settings, providers):
        yield world


async def world_under(
    settings: Settings, providers: tuple[Provider, Provider], **changes: Any
) -> AsyncIterator[World]:
    one, two = (Provider(known.url, key=known.key) for known in providers)
    for known, fresh in zip(providers, (one, two), strict=True):
        known.__dict__.update(fresh.__dict__)
    listed = f"{providers[0].setting('one')}, {providers[1].setting('two', 'The%20staff')}"
    changed = Settings.model_validate(
        {**settings.model_dump(), "public_url": "http://localhost", "oidc_providers": listed, **changes}
    )
    async with create_web(changed).test_app() as app:
        yield World(app, *providers)


async def sent_to(browser: Client, path: str = "/sign-in/with/one", **form: str) -> str:
    """Press a button; return where the page leads."""
    answer = await browser.post(path, form=form)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 200, (answer.status_code, answer.headers.get("Location"), page[-900:])
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page)
    assert found and f'href="{found[1]}"' in page, "a person can go on, too"
    return unescape(found[1])


async def back(browser: Client, address: str) -> Any:
    """Come back from a provider."""
    parts = urlsplit(address)
    return await browser.get(f"{parts.path}?{parts.query}")


async def sign_in_with(browser: Client, provider: Provider, path: str = "/sign-in/with/one", **form: str) -> Any:
    return await back(browser, provider.approve(await sent_to(browser, path, **form)))


async def link(browser: Client, provider: Provider, name: str = "one") -> None:
    answer = await sign_in_with(browser, provider, f"/account/identities/link/{name}")
    assert await went_to(answer) == SECURITY


def forget_limits(world: World) -> None:
    with redis.Redis.from_url(world.services.settings.limits) as server:
        for key in server.scan_iter("mailroom:limit:*"):
            server.delete(key)


async def page_of(browser: Client, path: str) -> str:
    return unescape(await (await browser.get(path)).get_data(as_text=True))


def main_of(page: str) -> str:
    return page.partition("<main")[2].partition("</main")[0]


async def is_signed_in(browser: Client) -> bool:
    return (await browser.get("/account")).status_code == 200


async def token_of(world: World, where: str, values: dict[str, Any], purpose: str | None = None) -> str:
    async with world.services.database.begin() as work:
        found = await work.session.execute(
            text(f"select id, nonce from mails where {where} order by created_at desc limit 1"), values
        )
        row = found.one()
    tokens = Tokens([SECRET_KEY])
    return tokens.token(row.id, row.nonce, purpose) if purpose else tokens.token(row.id, row.nonce)


async def test_a_member_links_signs_in_and_unlinks_and_is_told(world: World) -> None:
    world.one.person.email = "another@example.net"
    alice = await member(world.app)
    assert 'action="/account/identities/link/one"' in await page_of(alice, SECURITY)
    await link(alice, world.one)
    page = await page_of(alice, SECURITY)
    assert "Your accounts are linked" in page and "another@example.net" in page
    assert "Linked with an account of another site" in page
    notices = "select count(*) from mails where kind = 'security_notice' and recipient = 'alice@example.org'"
    assert (await run(world.app, notices))[0][0] == 1

    world.one.person.email = "moved@example.com"  # the subject counts, whatever address it has now
    phone = world.app.test_client()
    answer = await sign_in_with(phone, world.one, next="/tasks", keep="yes")
    assert await went_to(answer) == "/tasks" and "Max-Age" in answer.headers["Set-Cookie"]
    assert "alice@example.org" in await page_of(phone, "/account")
    asked = dict(world.one.asked)["/authorize"]
    assert asked["redirect_uri"] == "http://localhost/sign-in/with/one/callback"

    await run(world.app, "update sessions set verified_at = null")
    [row] = await run(world.app, "select id from account_identities")
    unlink = f"/account/identities/{row.id}/unlink"
    assert "/account/confirm" in await went_to(await phone.post(unlink)), "a stolen cookie is not enough"
    assert "/account/confirm" in await went_to(await phone.post("/account/identities/link/two"))
    await run(world.app, "update sessions set verified_at = now()")
    bob = await member_of(world, BOB)
    assert (await bob.post(unlink)).status_code == 404
    assert await went_to(await phone.post(unlink)) == SECURITY
    assert "Link with an account of another site removed" in await page_of(phone, SECURITY)
    stranger = world.app.test_client()
    assert "/mails/" in await went_to(await sign_in_with(stranger, world.one)), "it is unknown again"


async def member_of(world: World, who: dict[str, str]) -> Client:
    browser = world.app.test_client()
    ticket = (await browser.post("/sign-up", form=who)).headers["Location"].rpartition("/")[2]
    token = await token_of(world, "id = :id", {"id": parse_id(ticket)})
    assert (await browser.post(f"/confirm/{token}")).status_code == 303
    return browser


async def test_who_is_not_linked_signs_up_by_mail_and_no_account_is_found_by_its_address(world: World) -> None:
    await member(world.app)  # Alice, who has the address that the provider tells
    seen = set()
    for sub, email in (("mallory", "alice@example.org"), ("carol", "carol@example.org")):
        world.one.person.sub, world.one.person.email = sub, email
        browser = world.app.test_client()
        answer = await sign_in_with(browser, world.one)
        where = await went_to(answer)
        page = re.sub(r"[0-9a-f-]{36}|data-\S+|\d\d:\d\d\S*|alice|carol", "", await page_of(browser, where))
        seen.add((where.rpartition("/")[0], re.sub(r"\{[^{}]*\}", "", page)))
        assert not await is_signed_in(browser)
    assert len(seen) == 1, "known and new addresses look alike"
    kinds = await run(
        world.app, "select kind, recipient from mails where created_at > now() - interval '1 minute'"
    )
    assert ("already_have_account", "alice@example.org") in {tuple(row) for row in kinds}
    assert await run(world.app, "select 1 from account_identities") == []

    token = await token_of(world, "recipient = 'carol@example.org'", {})
    elsewhere = await page_of(world.app.test_client(), f"/confirm/{token}")
    assert "by way of another site" in elsewhere and "<button class" not in main_of(elsewhere)
    refused = await world.app.test_client().post(f"/confirm/{token}", form={"password": "a guess of a password"})
    assert refused.status_code == 422
    assert await went_to(await browser.post(f"/confirm/{token}")) == "/account"
    assert len(await run(world.app, "select 1 from account_identities where subject = 'carol'")) == 1
    again = world.app.test_client()
    assert await went_to(await sign_in_with(again, world.one)) == "/account"

    # It is the only way in, until there is a password.
    [row] = await run(world.app, "select id from account_identities")
    unlink = f"/account/identities/{row.id}/unlink"
    assert (await again.post(unlink)).status_code == 409
    assert "Choose a password" in await page_of(again, "/account/password")
    chosen = {"password": "seven quiet lanterns over water"}
    assert await went_to(await again.post("/account/password", form=chosen)) == SECURITY
    assert await went_to(await again.post(unlink)) == SECURITY
    by_password = {"email": "carol@example.org", **chosen}
    assert await went_to(await world.app.test_client().post("/sign-in", form=by_password)) == "/account"


async def test_linking_asks_at_the_provider_and_the_mails_name_what_is_linked(world: World) -> None:
    world.one.person.email = "another@example.net"
    alice = await member(world.app)
    await link(alice, world.one)
    assert dict(world.one.asked)["/authorize"]["prompt"] == "select_account"
    told = "select params ->> 'sites' from mails where kind = 'security_notice' order by id desc limit 1"
    assert await run(world.app, told) == [("One (another@example.net)",)]
    ticket = (await alice.post("/new-password", form={"email": "alice@example.org"})).headers["Location"]
    token = await token_of(world, "id = :id", {"id": parse_id(ticket.rpartition("/")[2])}, NEW_PASSWORD)
    chosen = await alice.post(f"/new-password/{token}", form={"password": "seven quiet lanterns over water"})
    assert chosen.status_code == 303
    assert await run(world.app, told) == [("127.0.0.1 (another@example.net)",)]
    assert len(await run(world.app, "select 1 from account_identities")) == 1, "the reset leaves it"

    # What another site calls an address is in no mail where it is none.
    world.two.person.email = "call +49 30 1234 at once"
    await link(await signed_in(world), world.two, "two")
    assert await run(world.app, told) == [("The staff",)]


async def signed_in(world: World) -> Client:
    browser = world.app.test_client()
    alice = {"email": "alice@example.org", "password": "seven quiet lanterns over water"}
    assert (await browser.post("/sign-in", form=alice)).status_code == 303
    return browser


async def test_a_provider_that_does_not_say_when_it_asked_shows_nobody_who_has_something_else(
    world: World,
) -> None:
    alice = await member(world.app)
    await link(alice, world.one)
    await run(world.app, "update sessions set verified_at = null")
    confirm = "/account/confirm/with/one"
    world.one.change = lambda claims: {name: value for name, value in claims.items() if name != "auth_time"}
    assert (await sign_in_with(alice, world.one, confirm)).status_code == 422
    assert dict(world.one.asked[-2:])["/authorize"]["prompt"] == "login"
    world.one.change = lambda claims: claims
    assert await went_to(await sign_in_with(alice, world.one, confirm)) == SECURITY

    # It counts where there is nothing else. And a provider that says what it takes is asked for nothing more.
    world.two.document = {"prompt_values_supported": ["none", "consent"]}
    world.two.person.sub, world.two.person.email = "carol", "carol@example.org"
    carol = world.app.test_client()
    await sign_in_with(carol, world.two, "/sign-in/with/two")
    await carol.post(f"/confirm/{await token_of(world, 'recipient = :to', {'to': 'carol@example.org'})}")
    await run(world.app, "update sessions set verified_at = null")
    world.two.change = lambda claims: {name: value for name, value in claims.items() if name != "auth_time"}
    answer = await sign_in_with(carol, world.two, "/account/confirm/with/two")
    assert await went_to(answer) == SECURITY
    asked = dict(world.two.asked[-2:])["/authorize"]
    assert "prompt" not in asked and asked["max_age"] == "0"


async def test_a_member_without_a_password_shows_at_the_provider_who_it_is(world: World) -> None:
    world.one.person.sub, world.one.person.email = "carol", "carol@example.org"
    carol = world.app.test_client()
    await sign_in_with(carol, world.one)
    await carol.post(f"/confirm/{await token_of(world, 'recipient = :to', {'to': 'carol@example.org'})}")
    await run(world.app, "update sessions set verified_at = null")
    ask = await went_to(await carol.get("/account/address"))
    page = await page_of(carol, ask)
    assert 'formaction="/account/confirm/with/one"' in page and "Current password" not in page
    intent = page.partition('name="intent" value="')[2].partition('"')[0]
    confirm = "/account/confirm/with/one"
    old = {"auth_time": int(time.time()) - 600}
    world.one.change = lambda claims: {**claims, **old}
    assert (await sign_in_with(carol, world.one, confirm, intent=intent)).status_code == 422, "it did not ask"
    world.one.change = lambda claims: {**claims, "sub": "somebody else"}
    assert (await sign_in_with(carol, world.one, confirm, intent=intent)).status_code == 422
    world.one.change = lambda claims: claims
    assert dict(world.one.asked)["/authorize"]["max_age"] == "0"
    assert await went_to(await sign_in_with(carol, world.one, confirm, intent=intent)) == "/account/address"
    answer = await carol.post("/account/address", form={"email": "new@example.org"})
    assert "/mails/" in await went_to(answer)


@pytest.mark.parametrize(
    ("rule", "status"), [("closed", 403), ("invite", 403), ("domains:example.net", 422), ("open", 303)]
)
async def test_a_sign_up_by_way_of_a_provider_obeys_registration(
    settings: Settings, providers: tuple[Provider, Provider], rule: str, status: int
) -> None:
    async for world in world_under(settings, providers, registration=rule):
        world.one.person.sub = "stranger"
        assert (await sign_in_with(world.app.test_client(), world.one)).status_code == status
        assert (await run(world.app, "select count(*) from sign_ups"))[0][0] == (status == 303)
        if rule == "invite":
            await an_invitation_lets_in(world)


async def an_invitation_lets_in(world: World) -> None:
    async with world.services.database.begin() as work:
        made = await world.services.invitations.create(work, "alice@example.org")
    token = await token_of(world, "id = :id", {"id": made.mail_id}, INVITATION)
    browser = world.app.test_client()
    assert f'name="invitation" value="{token}"' in await page_of(browser, f"/invited/{token}")
    world.one.person.email = "mallory@example.org"
    other = await sign_in_with(browser, world.one, invitation=token)
    assert other.status_code == 422, "a bound invitation is for its address"
    world.one.person.email = "alice@example.org"
    assert "/mails/" in await went_to(await sign_in_with(browser, world.one, invitation=token))
    confirm = await token_of(world, "kind = 'confirm_sign_up'", {})
    assert await went_to(await browser.post(f"/confirm/{confirm}")) == "/account"
    assert (await run(world.app, "select used_at is not null from invitations"))[0][0]


async def test_the_second_step_is_still_asked_for_and_a_locked_account_stays_shut(world: World) -> None:
    alice = await member(world.app)
    await link(alice, world.one)
    await turn_on(alice)
    phone = world.app.test_client()
    assert await went_to(await sign_in_with(phone, world.one, next="/tasks")) == "/sign-in/second-step?next=/tasks"
    assert not await is_signed_in(phone)
    await run(world.app, "update accounts set locked_at = now()")
    assert (await sign_in_with(world.app.test_client(), world.one)).status_code == 422


async def test_showing_it_at_a_provider_takes_the_second_step_first(world: World) -> None:
    alice = await member(world.app)
    await link(alice, world.one)
    totp, codes = await turn_on(alice)
    assert isinstance(totp, pyotp.TOTP)
    await run(world.app, "update sessions set verified_at = null")
    confirm = "/account/confirm/with/one"

    # No code is tried where the way on leads nowhere: whoever has the cookie alone would use the owner's tries up.
    guess = {"step_code": "123456"}
    assert (await alice.post("/account/confirm/with/anything", form=guess)).status_code == 410
    assert (await alice.post("/account/confirm/with/two", form=guess)).status_code == 410, "it is not linked"
    known = world.services.provider_sign_ins._providers["one"]
    known._metadata = type(known._metadata)()  # type: ignore[attr-defined]  # nothing is known of it any more
    world.one.document = {"issuer": world.two.url}
    assert (await alice.post(confirm, form=guess)).status_code == 503
    world.one.document = {}
    has_tried = "select coalesce(codes_due_at > now(), false) from accounts"
    assert await run(world.app, has_tried) == [(False,)]
    assert (await alice.post(confirm, form=guess)).status_code == 422
    assert await run(world.app, has_tried) == [(True,)]
    assert (await alice.post(confirm, form={"step_code": "BCDF-GHJK-MNPQ"})).status_code == 422
    assert (await alice.post(confirm)).status_code == 422
    assert await went_to(await sign_in_with(alice, world.one, confirm, step_code=codes[0])) == SECURITY
    assert (await run(world.app, "select count(*) from sessions where verified_at is not null"))[0][0] == 1


def by_hand(header: Claims, claims: Claims, key: bytes | None) -> str:
    """Return a token as no library would make it: without a signature, or with that of an HMAC."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    mac = hmac.digest(key, b".".join(parts), "sha256") if key else b""
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


def without_signature(claims: Claims) -> str:
    return by_hand({"alg": "none"}, claims, None)


def by_public_key(provider: Provider) -> Callable[[Claims], str]:
    """HS256 with the bytes of the public key: what a library accepts that lets the token choose."""
    header = {"alg": "HS256", "kid": provider.key.kid}
    return lambda claims: by_hand(header, claims, provider.key.as_pem(private=False))


FORGERIES: dict[str, Callable[[Provider, Provider], object]] = {
    "wrong issuer": lambda one, two: setattr(one, "change", lambda claims: {**claims, "iss": two.url}),
    "issuer with a slash": lambda one, _: setattr(one, "change", lambda claims: {**claims, "iss": one.url + "/"}),
    "wrong audience": lambda one, _: setattr(one, "change", lambda claims: {**claims, "aud": "another client"}),
    "no audience": lambda one, _: setattr(one, "change", lambda claims: {**claims, "aud": None}),
    "given to another": lambda one, _: setattr(
        one, "change", lambda claims: {**claims, "aud": [CLIENT, "another"], "azp": "another"}
    ),
    "for two, given to nobody": lambda one, _: setattr(
        one, "change", lambda claims: {**claims, "aud": [CLIENT, "another"]}
    ),
    "wrong nonce": lambda one, _: setattr(one, "change", lambda claims: {**claims, "nonce": "another"}),
    "no nonce": lambda one, _: setattr(one, "change", lambda claims: {**claims, "nonce": None}),
    "expired": lambda one, _: setattr(one, "change", lambda claims: {**claims, "exp": int(time.time()) - 61}),
    "never expires": lambda one, _: setattr(one, "change", lambda claims: {**claims, "exp": float("nan")}),
    "from the future": lambda one, _: setattr(
        one, "change", lambda claims: {**claims, "iat": int(time.time()) + 300}
    ),
    "not yet good": lambda one, _: setattr(
        one, "change", lambda claims: {**claims, "nbf": int(time.time()) + 300}
    ),
    "no subject": lambda one, _: setattr(one, "change", lambda claims: {**claims, "sub": ""}),
    "another key": lambda one, _: setattr(one, "forge", lambda claims: signed(new_key(), claims)),
    "another key of that name": lambda one, _: setattr(
        one, "forge", lambda claims: signed(new_key(), claims, kid=one.key.kid)
    ),
    "alg none": lambda one, _: setattr(one, "forge", without_signature),
    "HS256 with the public key": lambda one, _: setattr(one, "forge", by_public_key(one)),
    "no token": lambda one, _: setattr(one, "token_answer", (200, {"access_token": "x", "token_type": "Bearer"})),
    "an error": lambda one, _: setattr(one, "token_answer", (400, {"error": "invalid_grant"})),
    "changed": lambda one, _: setattr(one, "forge", lambda claims: signed(one.key, claims)[:-8] + "AAAAAAAA"),
}


async def test_a_token_that_is_not_what_was_asked_for_opens_nothing(world: World) -> None:
    alice = await member(world.app)
    await link(alice, world.one)
    for name, forge in FORGERIES.items():
        forget_limits(world)
        forge(world.one, world.two)
        browser = world.app.test_client()
        answer = await sign_in_with(browser, world.one)
        assert answer.status_code == 422, name
        assert not await is_signed_in(browser), name
        world.one.change, world.one.forge, world.one.token_answer = (lambda claims: claims), None, None
    assert await went_to(await sign_in_with(browser, world.one)) == "/account", "and the next one does"


async def test_a_state_is_good_once_in_its_own_browser_and_for_its_own_provider(world: World) -> None:
    alice = await member(world.app)
    await link(alice, world.one)
    mine, other = world.app.test_client(), world.app.test_client()
    answer = world.one.approve(await sent_to(mine))
    other_answer = world.one.approve(await sent_to(other))
    assert (await back(other, answer)).status_code == 410, "another browser's"
    nobody = world.app.test_client()
    assert (await back(nobody, answer)).status_code == 410, "a browser that was never sent"
    made_up = re.sub(r"state=[^&]+", "state=made-up", answer)
    assert (await back(mine, made_up)).status_code == 410
    taken = world.one.approve(await sent_to(mine))
    stolen = re.sub(r"state=[^&]+", re.search(r"state=[^&]+", other_answer)[0], taken)  # type: ignore[index]
    assert (await back(other, stolen)).status_code == 422, "a code of another session: PKCE and nonce differ"
    assert await went_to(await back(mine, answer)) == "/account", "nobody else used it up"
    assert (await back(mine, answer)).status_code == 410, "used"

    twice = world.one.approve(await sent_to(other))
    both = await asyncio.gather(back(other, twice), back(other, twice))
    assert sorted(one.status_code for one in both) == [303, 410], "of two at once one counts"

    late = world.app.test_client()
    answer = world.one.approve(await sent_to(late))
    await run(world.app, "update authentication_requests set expires_at = now()")
    assert (await back(late, answer)).status_code == 410
    await world.services.provider_sign_ins.clean_up()
    assert await run(world.app, "select 1 from authentication_requests") == []

    # Mix-up: what one provider answers is brought to the other's door (RFC 9700 §4.4).
    forget_limits(world)
    mixed = world.app.test_client()
    answer = world.two.approve(await sent_to(mixed, "/sign-in/with/two"))
    asked = len(world.one.asked)
    assert (await back(mixed, answer.replace("/with/two/", "/with/one/"))).status_code == 410
    assert len(world.one.asked) == asked, "the code went to nobody"
    for wrong in (urlencode({"iss": world.one.url}), ""):  # RFC 9207
        answer = world.two.approve(await sent_to(mixed, "/sign-in/with/two"))
        assert (await back(mixed, re.sub(r"iss=[^&]+", wrong, answer))).status_code == 422
    answer = world.two.approve(await sent_to(mixed, "/sign-in/with/two"))
    said = re.sub(r"code=[^&]+", "error=access_denied", answer)
    declined = await back(mixed, said)
    assert declined.status_code == 422
    assert "You did not sign in at The staff" in await declined.get_data(as_text=True)
    for junk in ("", "?state=", "?state=%00&code=%ff", f"?state={'x' * 9000}"):
        assert (await mixed.get(f"/sign-in/with/one/callback{junk}")).status_code in {410, 400}
    assert (await mixed.get("/sign-in/with/three/callback")).status_code == 410
    assert (await mixed.post("/sign-in/with/three")).status_code == 410


async def test_an_answer_counts_for_who_was_signed_in_then(world: World) -> None:
    alice = await member(world.app)
    await link(alice, world.one)
    bob = await member_of(world, BOB)

    # A sign-in that was begun before somebody signed in does not take that session over.
    browser = world.app.test_client()
    answer = world.one.approve(await sent_to(browser))
    assert await went_to(await browser.post("/sign-in", form=BOB)) == "/account"
    assert (await back(browser, answer)).status_code == 410
    assert "bob@example.org" in await page_of(browser, "/account")
    assert await went_to(await browser.post("/sign-in/with/one", form={"next": "/tasks"})) == "/tasks"

    # A link that Bob began is not Alice's, and nobody links what is linked with somebody else.
    world.two.person.sub, world.two.person.email = "bob at two", "bob@example.net"
    answer = world.two.approve(await sent_to(bob, "/account/identities/link/two"))
    assert (await back(alice, answer)).status_code == 410
    taken = await sign_in_with(bob, world.one, "/account/identities/link/one")
    assert taken.status_code == 409
    assert len(await run(world.app, "select 1 from account_identities")) == 1
    await bob.post("/sign-out")
    answer = await back(bob, answer)
    assert answer.status_code == 410, "signed out since"
    bob = world.app.test_client()
    await bob.post("/sign-in", form=BOB)
    begun = world.two.approve(await sent_to(bob, "/account/identities/link/two"))
    assert await went_to(await back(bob, begun)) == SECURITY
    await link(bob, world.two, "two")  # once more changes nothing
    assert len(await run(world.app, "select 1 from account_identities")) == 2


async def test_an_address_that_is_not_verified_neither_signs_up_nor_links(world: World) -> None:
    alice = await member(world.app)
    for said in (False, None, "false", 1):
        forget_limits(world)
        world.one.person.email_verified = said
        assert (await sign_in_with(world.app.test_client(), world.one)).status_code == 422, said
        assert (await sign_in_with(alice, world.one, "/account/identities/link/one")).status_code == 422, said
    world.one.person.email = None
    assert (await sign_in_with(world.app.test_client(), world.one)).status_code == 422
    assert await run(world.app, "select 1 from account_identities") == []


async def test_an_address_may_come_from_the_user_info_of_the_same_subject(world: World) -> None:
    world.two.person = type(world.two.person)("dora", None)
    world.two.user_info = {"sub": "somebody else", "email": "dora@example.org", "email_verified": True}
    browser = world.app.test_client()
    assert (await sign_in_with(browser, world.two, "/sign-in/with/two")).status_code == 422
    world.two.user_info["sub"] = "dora"
    assert "/mails/" in await went_to(await sign_in_with(browser, world.two, "/sign-in/with/two"))


async def test_new_keys_are_found_and_old_ones_count_no_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.accounts.providers.provider.PAUSE", -1.0)
    alice = await member(world.app)
    await link(alice, world.one)
    old = world.one.key
    for algorithm in ("RS256", "ES256"):
        world.one.rotate(algorithm)
        assert await went_to(await sign_in_with(world.app.test_client(), world.one)) == "/account"
    fetched = sum(path == "/keys" for path, _ in world.one.asked)
    assert await went_to(await sign_in_with(world.app.test_client(), world.one)) == "/account"
    assert sum(path == "/keys" for path, _ in world.one.asked) == fetched, "known keys are not asked for again"
    world.one.forge = lambda claims: signed(old, claims)
    assert (await sign_in_with(world.app.test_client(), world.one)).status_code == 422


async def test_a_provider_that_is_away_or_lies_about_itself_is_told_apart_from_a_refusal(world: World) -> None:
    browser = world.app.test_client()
    for lie in (
        {"issuer": world.two.url},
        {"token_endpoint": "http://mallory.example/token"},
        {"jwks_uri": "ftp://127.0.0.1/keys"},
        {"authorization_endpoint": None},
    ):
        world.one.document = lie
        answer = await browser.post("/sign-in/with/one")
        assert answer.status_code == 503, lie
        assert "does not answer" in await answer.get_data(as_text=True)
    world.one.document = {"filler": "x" * 600_000}
    assert (await browser.post("/sign-in/with/one")).status_code == 503, "too large"
    world.one.document = {}
    address = await sent_to(browser)
    for status, said in ((500, {}), (200, b"no json"), (200, []), (302, "http://127.0.0.1:1/")):
        world.one.token_answer = (status, said)
        assert (await back(browser, world.one.approve(address))).status_code in {503, 410}
        address = await sent_to(browser)


async def test_this_was_not_me_takes_the_links_with_other_sites_away(world: World) -> None:
    alice = await member(world.app)
    await link(alice, world.one)
    token = await token_of(world, "kind = 'security_notice'", {}, NOT_ME)
    assert "/mails/" in await went_to(await world.app.test_client().post(f"/not-me/{token}"))
    assert await run(world.app, "select 1 from account_identities") == []
    thief = world.app.test_client()
    assert "/mails/" in await went_to(await sign_in_with(thief, world.one))
    assert not await is_signed_in(thief)


async def test_nothing_secret_of_a_sign_in_rests_or_is_sent_along(world: World) -> None:
    browser = world.app.test_client()
    address = await sent_to(browser)
    asked = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
    [row] = await run(world.app, "select * from authentication_requests")
    stored = repr(tuple(row))
    assert not [name for name in ("state", "nonce", "code_challenge") if asked[name] in stored]
    assert len(asked["state"]) >= 43 and asked["scope"] == "openid email" and "client_secret" not in asked
    shown = await browser.get("/sign-in")
    assert 'formaction="/sign-in/with/two"' in (page := await shown.get_data(as_text=True))
    assert "Sign in with The staff" in page and "secret" not in page
    for _ in range(12):
        forget_limits(world)
        await sent_to(browser)
    assert (await run(world.app, "select count(*) from authentication_requests"))[0][0] == 10
