"""Passkeys: signing in with one alone, as a second step, and showing once more who it is. And what is refused."""

import asyncio
from dataclasses import replace

import pytest

from mailroom.accounts.errors import (
    LastWayIn,
    NoPendingSignIn,
    PasskeysRefused,
    RecentSignInNeeded,
    UnknownPasskey,
    WrongCurrentPassword,
    WrongPasskey,
)
from mailroom.accounts.sessions import is_recent
from mailroom.accounts.two_factor.site import NO_HTTPS, NO_IP, PasskeySite
from mailroom.accounts.views import NewSession, Origin, Session
from tests.integration.accounts.authenticator import Authenticator
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception

HOME = Origin(FIREFOX, "192.0.2.7")
NEW = "paper boats cross a slow canal"


async def enrol(reception: Reception, member: NewSession, device: Authenticator, name: str = "My phone") -> None:
    options = await reception.factors.passkey_options(member.session)
    await reception.factors.add_passkey(member.session, device.create(options), name=name, origin=HOME)


async def sign_in(reception: Reception, device: Authenticator, *, kept: bool = True) -> NewSession:
    browser = await reception.browser()
    options = await reception.steps.sign_in_options(browser)
    return await reception.steps.sign_in_by_passkey(browser, device.get(options), HOME, kept=kept)


async def settle(reception: Reception, days: int = 2) -> None:
    """Have the passkeys so old."""
    await reception.run(f"update passkeys set created_at = now() - interval '{days} days'")


async def turn_on(reception: Reception, member: NewSession) -> list[str]:
    codes = await reception.factors.make_codes(member.session)
    await reception.factors.prove_codes(member.session, codes[0], HOME)
    return codes[1:]


async def test_a_passkey_signs_in_alone_also_one_that_always_counts_zero(reception: Reception) -> None:
    member = await reception.member()
    for device in (Authenticator(), Authenticator(count=None)):
        await enrol(reception, member, device)
        for _ in range(2):
            started = await sign_in(reception, device, kept=False)
            assert started.session.account and started.session.account.email == ALICE
            assert not started.session.kept
    options = await reception.steps.sign_in_options(await reception.browser())
    assert not options.get("allowCredentials"), "nobody learns which passkeys an address has"
    assert options["userVerification"] == "required"
    passkeys = (await reception.factors.overview(member.session)).passkeys
    assert [one.is_synced for one in passkeys] == [False, True] and all(one.used_at for one in passkeys)
    stored = await reception.rows("select transports from passkeys limit 1")
    assert stored == [(["hybrid", "internal"],)]
    assert isinstance(await reception.sign_in(ALICE, ALICES), NewSession), "a passkey alone asks nobody for a step"


async def test_with_two_steps_a_passkey_is_the_second_or_both(reception: Reception) -> None:
    member, device = await reception.member(), Authenticator()
    await enrol(reception, member, device)
    await turn_on(reception, member)
    assert (await sign_in(reception, device)).session.account
    waiting = await reception.first_step(ALICE, ALICES)
    choice = await reception.steps.choice(waiting.session)
    assert choice.has_passkey and not choice.has_app
    options = await reception.steps.passkey_options(waiting.session)
    assert [one["id"] for one in options["allowCredentials"]] == [device.get(options)["id"]]
    started = await reception.steps.by_passkey(waiting.session, device.get(options), HOME)
    assert started.session.account and started.session.account.email == ALICE
    with pytest.raises(NoPendingSignIn):
        await reception.steps.passkey_options(started.session)


async def test_a_challenge_is_good_once_for_one_browser_and_one_purpose_and_five_minutes(
    reception: Reception,
) -> None:
    member, device = await reception.member(), Authenticator(count=None)
    await enrol(reception, member, device)
    await turn_on(reception, member)
    browser, other = await reception.browser(), await reception.browser()
    options = await reception.steps.sign_in_options(browser)
    signed = device.get(options)
    steps = reception.steps
    with pytest.raises(WrongPasskey):  # in another browser
        await steps.sign_in_by_passkey(other, signed, HOME, kept=True)
    waiting = await reception.first_step(ALICE, ALICES, other)
    with pytest.raises(WrongPasskey):  # for another purpose, in another browser
        await steps.by_passkey(waiting.session, signed, HOME)
    step_options = await steps.passkey_options(waiting.session)
    with pytest.raises(WrongPasskey):  # for another purpose, in the same browser
        await steps.sign_in_by_passkey(waiting.session, device.get(step_options), HOME, kept=True)
    await steps.sign_in_by_passkey(browser, signed, HOME, kept=True)
    with pytest.raises(WrongPasskey):  # again
        await steps.sign_in_by_passkey(browser, signed, HOME, kept=True)
    late = await reception.browser()
    options = await steps.sign_in_options(late)
    await reception.run("update webauthn_challenges set expires_at = now()")
    with pytest.raises(WrongPasskey):
        await steps.sign_in_by_passkey(late, device.get(options), HOME, kept=True)
    with pytest.raises(WrongPasskey):
        await steps.sign_in_by_passkey(None, signed, HOME, kept=True)


async def test_a_refused_signature_uses_its_challenge_up(reception: Reception) -> None:
    member, device = await reception.member(), Authenticator()
    await enrol(reception, member, device)
    browser = await reception.browser()
    options = await reception.steps.sign_in_options(browser)
    forged = device.get(options)
    forged["response"]["signature"] = forged["response"]["signature"][:-8] + "AAAAAAAA"
    for signed in (forged, device.get(options)):
        with pytest.raises(WrongPasskey):
            await reception.steps.sign_in_by_passkey(browser, signed, HOME, kept=True)


@pytest.mark.parametrize(
    "lie",
    [
        {"verifies": False},
        {"origin": "http://localhost.mallory.example"},
        {"origin": "https://localhost"},
        {"rp_id": "mallory.example"},
        {"count": 1},
    ],
)
async def test_a_lie_is_refused_at_both_ceremonies(reception: Reception, lie: dict[str, object]) -> None:
    member, device = await reception.member(), Authenticator(count=5)
    if "count" not in lie:
        with pytest.raises(WrongPasskey):
            await enrol(reception, member, Authenticator(**lie))  # type: ignore[arg-type]
        assert not (await reception.factors.overview(member.session)).passkeys
    await enrol(reception, member, device)
    for name, value in lie.items():
        setattr(device, name, value)
    with pytest.raises(WrongPasskey):
        await sign_in(reception, device)


async def test_of_two_copies_of_a_passkey_at_once_one_is_let_in(reception: Reception) -> None:
    member, device = await reception.member(), Authenticator()
    await enrol(reception, member, device)
    copy = Authenticator(device.count, id=device.id, key=device.key, user=device.user)
    outcomes = await asyncio.gather(sign_in(reception, device), sign_in(reception, copy), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["NewSession", "WrongPasskey"]


async def test_another_member_s_passkey_is_worth_nothing_here(reception: Reception) -> None:
    alice, bob = await reception.member(), await reception.member("bob@example.org", MALLORYS)
    hers, his = Authenticator(), Authenticator()
    await enrol(reception, alice, hers)
    await enrol(reception, bob, his)
    await turn_on(reception, alice)
    waiting = await reception.first_step(ALICE, ALICES)
    options = await reception.steps.passkey_options(waiting.session)
    with pytest.raises(WrongPasskey):
        await reception.steps.by_passkey(waiting.session, his.get(options), HOME)
    options = await reception.recent.passkey_options(alice.session)
    with pytest.raises(WrongPasskey):
        await reception.recent.by_passkey(alice.session, his.get(options))
    browser = await reception.browser()
    options = await reception.steps.sign_in_options(browser)
    with pytest.raises(WrongPasskey):
        await reception.steps.sign_in_by_passkey(browser, his.get(options, handle=hers.user), HOME, kept=True)
    theirs = (await reception.factors.overview(alice.session)).passkeys[0].id
    with pytest.raises(UnknownPasskey):
        await reception.factors.remove_passkey(bob.session, theirs, HOME)
    with pytest.raises(WrongPasskey):
        await enrol(reception, bob, hers)


async def test_a_passkey_shows_who_it_is_and_is_all_that_its_owner_needs(reception: Reception) -> None:
    member, device = await reception.member(), Authenticator()
    await enrol(reception, member, device)
    await turn_on(reception, member)
    await reception.run("update sessions set verified_at = null")
    await reception.run("update accounts set password_hash = 'nobody knows it'")
    assert (await reception.recent.choice(member.session)).has_passkey
    options = await reception.recent.passkey_options(member.session)
    await reception.recent.by_passkey(member.session, device.get(options))
    found = await reception.sessions.find(member.secret)
    assert found and is_recent(found)
    with pytest.raises(WrongPasskey):
        await reception.recent.by_passkey(member.session, device.get(options))


async def test_a_passkey_stands_for_the_present_password_where_something_is_changed(reception: Reception) -> None:
    member, device = await reception.member(), Authenticator()
    bob = await reception.member("bob@example.org", MALLORYS)
    await enrol(reception, member, device)
    await settle(reception)

    async def change(session: Session, current: str = "") -> None:
        await reception.password_change.change(
            session, current=current, password=NEW, end_others=False, origin=HOME
        )

    for session in (bob.session, member.session):
        assert await reception.password_change.asks_password(session)
        with pytest.raises(WrongCurrentPassword):
            await change(session)
        with pytest.raises(WrongCurrentPassword):
            await reception.address_changes.ask(session, email="new@example.org", password="", origin=HOME)
    await reception.run("update sessions set verified_at = null")
    options = await reception.recent.passkey_options(member.session)
    await reception.recent.by_passkey(member.session, device.get(options))
    found = await reception.sessions.find(member.secret)
    assert found and not await reception.password_change.asks_password(found)
    with pytest.raises(WrongCurrentPassword):
        await change(found, "not the present one")
    await reception.address_changes.ask(found, email="new@example.org", password="", origin=HOME)
    await change(found)
    assert (await reception.sign_in(ALICE, NEW)).session.account

    # Without any password the passkey is all there is: a recent sign-in counts, and the passkey stays.
    await reception.run("update accounts set password_hash = :none", none=reception.passwords.useless())
    assert not await reception.password_change.asks_password(found)
    stale = replace(found, verified_at=None)
    with pytest.raises(RecentSignInNeeded):
        await change(stale)
    [passkey] = (await reception.factors.overview(found)).passkeys
    with pytest.raises(LastWayIn):
        await reception.factors.remove_passkey(found, passkey.id, HOME)
    await change(found)
    await reception.factors.remove_passkey(found, passkey.id, HOME)


async def test_a_passkey_that_a_stolen_cookie_added_does_not_stand_for_the_password(reception: Reception) -> None:
    """The session is fresh, by the owner's password: what the thief lacks is just that."""
    member, thiefs, owners = await reception.member(), Authenticator(), Authenticator()
    await enrol(reception, member, owners)
    await settle(reception)

    async def shows(device: Authenticator) -> Session:
        options = await reception.recent.passkey_options(member.session)
        await reception.recent.by_passkey(member.session, device.get(options))
        found = await reception.sessions.find(member.secret)
        assert found and is_recent(found)
        return found

    async def is_turned_away(session: Session) -> None:
        assert await reception.password_change.asks_password(session)
        with pytest.raises(WrongCurrentPassword):
            await reception.password_change.change(session, current="", password=NEW, end_others=True, origin=HOME)
        with pytest.raises(WrongCurrentPassword):
            await reception.address_changes.ask(session, email="thief@example.org", password="", origin=HOME)

    await is_turned_away(member.session)  # fresh, but by the password
    await enrol(reception, member, thiefs)
    await is_turned_away(await shows(thiefs))
    assert (await reception.recent.choice(member.session)).has_old_passkey
    await is_turned_away((await sign_in(reception, thiefs)).session)  # newer than its passkey, which is a new one
    waiting = await turn_on(reception, member) and await reception.first_step(ALICE, ALICES)
    options = await reception.steps.passkey_options(waiting.session)
    await is_turned_away((await reception.steps.by_passkey(waiting.session, thiefs.get(options), HOME)).session)
    for started in (await sign_in(reception, owners),):
        assert not await reception.password_change.asks_password(started.session)
        found = await reception.sessions.find(started.secret)
        assert found and not await reception.password_change.asks_password(found)
    # A passkey of a session that is older than it does not get there by waiting.
    await reception.run("update sessions set created_at = now() - interval '3 days', passkey_verified_at = null")
    await settle(reception)
    found = await reception.sessions.find(member.secret)
    assert found and not (await reception.recent.choice(found)).has_old_passkey
    options = await reception.recent.passkey_options(found)
    await reception.recent.by_passkey(found, owners.get(options))
    found = await reception.sessions.find(member.secret)
    assert found and found.passkey_verified_at is None
    await is_turned_away(found)


async def test_removing_the_last_passkey_makes_one_step_enough(reception: Reception) -> None:
    member, device = await reception.member(), Authenticator()
    await enrol(reception, member, device, "  My\n  phone ")
    await turn_on(reception, member)
    [passkey] = (await reception.factors.overview(member.session)).passkeys
    assert passkey.name == "My phone"
    await reception.factors.remove_passkey(member.session, passkey.id, HOME)
    assert (await reception.sign_in(ALICE, ALICES)).session.account
    with pytest.raises(WrongPasskey):
        await sign_in(reception, device)


@pytest.mark.parametrize(
    "nonsense", [{}, {"id": "x"}, {"rawId": "!!", "response": []}, {"response": {"userHandle": 7}}]
)
async def test_nonsense_is_refused(reception: Reception, nonsense: dict[str, object]) -> None:
    member = await reception.member()
    browser = await reception.browser()
    await reception.steps.sign_in_options(browser)
    with pytest.raises(WrongPasskey):
        await reception.steps.sign_in_by_passkey(browser, nonsense, HOME, kept=True)
    await reception.factors.passkey_options(member.session)
    with pytest.raises(WrongPasskey):
        await reception.factors.add_passkey(member.session, nonsense, name="", origin=HOME)


@pytest.mark.parametrize(
    ("public_url", "rp_id", "obstacle"),
    [
        ("https://mail.example.org", "mail.example.org", None),
        ("http://localhost:8000", "localhost", None),
        ("http://127.0.0.1:8000", "127.0.0.1", NO_IP),
        ("https://[2001:db8::1]", "2001:db8::1", NO_IP),
        ("http://mail.example.org", "mail.example.org", NO_HTTPS),
    ],
)
async def test_a_site_without_a_name_or_https_has_no_passkeys_and_says_why(
    reception: Reception, public_url: str, rp_id: str, obstacle: str | None
) -> None:
    site = PasskeySite.of(public_url)
    assert (site.rp_id, site.obstacle) == (rp_id, obstacle)
    if obstacle:
        member = await reception.member()
        reception.factors._passkeys.site = site
        assert (await reception.factors.overview(member.session)).passkeys_obstacle == obstacle
        with pytest.raises(PasskeysRefused):
            await reception.factors.passkey_options(member.session)
