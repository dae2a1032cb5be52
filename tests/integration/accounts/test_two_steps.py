"""Two steps: an authenticator app, recovery codes, and what an attacker gets out of each, which is nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pyotp
import pytest

from mailroom.accounts.errors import (
    MalformedStepCode,
    NoFactor,
    NoPendingSignIn,
    TooManyStepCodes,
    TooManyStepTries,
    UsedPasswordLink,
    WrongCredentials,
    WrongCurrentPassword,
    WrongStepCode,
)
from mailroom.accounts.sessions import is_recent
from mailroom.accounts.tokens import NOT_ME
from mailroom.accounts.two_factor import totp
from mailroom.accounts.views import NewSession, Origin, SecondStepNeeded, Session
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception

NEW = "eleven patient herons count rain"
HOME = Origin(FIREFOX, "192.0.2.7")
NOON = datetime(2026, 11, 27, 12, 0, 10, tzinfo=UTC)


class Phone:
    """An authenticator app; it is noon."""

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret)

    def code(self, steps: int = 0) -> str:
        return self._totp.at(NOON, counter_offset=steps)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totp, "clock", SimpleNamespace(now=lambda: NOON))


async def set_up_app(reception: Reception, member: NewSession) -> Phone:
    await reception.factors.begin_app(member.session)
    secret = await reception.factors.new_app(member.session)
    assert secret and secret.text in secret.uri and "alice" in secret.uri
    phone = Phone(secret.text)
    await reception.factors.prove_app(member.session, phone.code(-1), HOME)
    return phone


async def with_two_steps(reception: Reception) -> tuple[NewSession, Phone, list[str]]:
    """Alice, with an app, and nine unused recovery codes."""
    member = await reception.member()
    phone = await set_up_app(reception, member)
    codes = await reception.factors.make_codes(member.session)
    assert await reception.factors.prove_codes(member.session, codes[0], HOME)
    return member, phone, codes[1:]


async def events(reception: Reception) -> list[str]:
    return [kind for (kind,) in await reception.rows("select kind from account_events order by id")]


async def told(reception: Reception) -> list[str]:
    wanted = "select params ->> 'event' from mails where kind = 'security_notice' order by id"
    return [event for (event,) in await reception.rows(wanted)]


async def test_two_steps_are_on_once_one_of_the_codes_was_typed_and_other_browsers_are_signed_out(
    reception: Reception,
) -> None:
    member = await reception.member()
    other = await reception.sign_in(ALICE, ALICES)
    with pytest.raises(NoFactor):
        await reception.factors.make_codes(member.session)
    await set_up_app(reception, member)
    assert isinstance(await reception.sign_in(ALICE, ALICES), NewSession), "an app alone asks nobody for a code"
    codes = await reception.factors.make_codes(member.session)
    assert len(set(codes)) == 10
    with pytest.raises(WrongStepCode):
        await reception.factors.prove_codes(member.session, "BCDF-GHJK-MNPQ", HOME)
    assert await reception.sessions.find(other.secret)
    assert await reception.factors.prove_codes(member.session, codes[3].lower().replace("-", " "), HOME)
    assert await reception.sessions.find(other.secret) is None
    assert await reception.sessions.find(member.secret)
    overview = await reception.factors.overview(member.session)
    assert overview.on_since and overview.app_since and overview.codes_left == 9
    assert (await told(reception))[-2:] == ["app_added", "two_steps_on"]


async def test_signing_in_takes_the_password_and_then_a_code_and_no_code_is_taken_twice(
    reception: Reception,
) -> None:
    member, phone, _ = await with_two_steps(reception)
    browser = await reception.browser()
    waiting = await reception.first_step(ALICE, ALICES, browser)
    assert waiting.session.id == browser.id and waiting.session.account is None
    found = await reception.sessions.find(waiting.secret)
    assert found and found.account is None, "half a sign-in is none"
    code = phone.code()
    started = await reception.steps.by_code(waiting.session, code, HOME)
    assert started.session.account and started.session.id == browser.id
    assert await reception.sessions.find(waiting.secret) is None, "the secret is a new one"
    again = await reception.first_step(ALICE, ALICES)
    for used in (code, phone.code(-1)):
        with pytest.raises(WrongStepCode):
            await reception.steps.by_code(again.session, used, HOME)
    with pytest.raises(NoPendingSignIn):
        await reception.steps.by_code(started.session, phone.code(1), HOME)
    assert (await reception.steps.by_code(again.session, phone.code(1), HOME)).session.account
    assert member.session.account


async def test_of_two_browsers_with_the_same_code_at_once_one_is_let_in(reception: Reception) -> None:
    _, phone, codes = await with_two_steps(reception)
    for code in (phone.code(), codes[0]):
        waiting = [await reception.first_step(ALICE, ALICES) for _ in range(2)]
        outcomes = await asyncio.gather(
            *(reception.steps.by_code(one.session, code, HOME) for one in waiting), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in outcomes) == ["NewSession", "WrongStepCode"]


async def test_the_second_step_belongs_to_the_browser_of_the_first_and_waits_ten_minutes(
    reception: Reception,
) -> None:
    _, phone, _ = await with_two_steps(reception)
    bob = await reception.member("bob@example.org", MALLORYS)
    planted = await reception.browser()
    waiting = await reception.first_step(ALICE, ALICES, planted)
    for other in (None, await reception.browser(), bob.session):
        with pytest.raises(NoPendingSignIn):
            await reception.steps.by_code(other, phone.code(), HOME)
    assert waiting.session.token_hash != planted.token_hash, "who planted the cookie is not at the second step"
    await reception.run("update pending_sign_ins set expires_at = now()")
    with pytest.raises(NoPendingSignIn):
        await reception.steps.by_code(waiting.session, phone.code(), HOME)


async def test_who_is_signed_in_as_somebody_else_is_not_so_any_more(reception: Reception) -> None:
    _, phone, _ = await with_two_steps(reception)
    bob = await reception.member("bob@example.org", MALLORYS)
    waiting = await reception.first_step(ALICE, ALICES, bob.session)
    assert await reception.sessions.find(bob.secret) is None
    started = await reception.steps.by_code(waiting.session, phone.code(), HOME)
    assert started.session.account and started.session.account.email == ALICE


async def test_five_wrong_codes_end_the_sign_in_and_the_owner_is_told(reception: Reception) -> None:
    _, phone, _ = await with_two_steps(reception)
    waiting = await reception.first_step(ALICE, ALICES)
    with pytest.raises(MalformedStepCode):
        await reception.steps.by_code(waiting.session, "12 34", HOME)
    for _ in range(4):
        with pytest.raises(WrongStepCode):
            await reception.steps.by_code(waiting.session, "BCDF-GHJK-MNPQ", HOME)
    with pytest.raises(TooManyStepTries):
        await reception.steps.by_code(waiting.session, "BCDF-GHJK-MNPQ", HOME)
    with pytest.raises(NoPendingSignIn):
        await reception.steps.by_code(waiting.session, phone.code(), HOME)
    assert (await told(reception))[-1] == "second_step_failed"


async def test_codes_of_the_app_are_few_for_all_browsers_together_and_recovery_codes_go_past_that(
    reception: Reception,
) -> None:
    _, phone, codes = await with_two_steps(reception)
    for _ in range(2):
        waiting = await reception.first_step(ALICE, ALICES)
        for _ in range(4):
            with pytest.raises(WrongStepCode):
                await reception.steps.by_code(waiting.session, wrong(phone), HOME)
    waiting = await reception.first_step(ALICE, ALICES)
    for _ in range(2):
        with pytest.raises(WrongStepCode):
            await reception.steps.by_code(waiting.session, wrong(phone), HOME)
    with pytest.raises(TooManyStepCodes) as refused:
        await reception.steps.by_code(waiting.session, phone.code(), HOME)
    assert 100 < refused.value.seconds <= 180
    assert (await reception.steps.by_code(waiting.session, codes[0], HOME)).session.account
    assert (await told(reception))[-1] == "recovery_code_used"
    waiting = await reception.first_step(ALICE, ALICES)
    with pytest.raises(WrongStepCode):
        await reception.steps.by_code(waiting.session, codes[0], HOME)


async def test_a_right_code_gives_its_try_back(reception: Reception) -> None:
    _, phone, _ = await with_two_steps(reception)
    waiting = await reception.first_step(ALICE, ALICES)
    await reception.steps.by_code(waiting.session, phone.code(), HOME)
    [(due,)] = await reception.rows("select codes_due_at <= now() from accounts")
    assert due


def wrong(phone: Phone) -> str:
    right = {phone.code(steps) for steps in range(-3, 4)}
    return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777")
                if code not in right)  # fmt: skip


async def test_a_link_to_a_new_password_does_not_skip_the_second_step(reception: Reception) -> None:
    member, phone, _ = await with_two_steps(reception)
    token = await reception.password_token(await reception.forget())
    outcome = await reception.password_reset.reset(token, password=NEW, session=member.session, user_agent=FIREFOX)
    assert isinstance(outcome, SecondStepNeeded)
    assert outcome.started.session.account is None
    assert await reception.sessions.find(member.secret) is None
    with pytest.raises(UsedPasswordLink):
        await reception.choose(token, MALLORYS)
    assert (await reception.steps.by_code(outcome.started.session, phone.code(), HOME)).session.account
    assert "password_reset" in await told(reception)


async def test_a_sign_in_that_waits_is_worth_nothing_once_the_password_is_another(reception: Reception) -> None:
    member, phone, _ = await with_two_steps(reception)
    thief = await reception.first_step(ALICE, ALICES)
    await reception.password_change.change(
        member.session, current=ALICES, password=NEW, end_others=False, origin=HOME
    )
    with pytest.raises(NoPendingSignIn):
        await reception.steps.by_code(thief.session, phone.code(), HOME)


async def test_a_new_app_replaces_the_old_one_only_once_its_code_is_typed(reception: Reception) -> None:
    member, old, _ = await with_two_steps(reception)
    await reception.factors.begin_app(member.session)
    secret = await reception.factors.new_app(member.session)
    assert secret
    new = Phone(secret.text)
    for code in (old.code(), "", "12345", "x" * 6):
        with pytest.raises(WrongStepCode):
            await reception.factors.prove_app(member.session, code, HOME)
    waiting = await reception.first_step(ALICE, ALICES)
    with pytest.raises(WrongStepCode):
        await reception.steps.by_code(waiting.session, new.code(), HOME)
    entered = await reception.steps.by_code(waiting.session, old.code(), HOME)
    assert await reception.factors.new_app(entered.session) is None, "only the browser that sets it up sees it"
    with pytest.raises(WrongStepCode):
        await reception.factors.prove_app(entered.session, new.code(), HOME)
    assert await reception.factors.prove_app(member.session, new.code(), HOME), "two steps stay on"
    waiting = await reception.first_step(ALICE, ALICES)
    with pytest.raises(WrongStepCode):
        await reception.steps.by_code(waiting.session, old.code(1), HOME)
    assert (await reception.steps.by_code(waiting.session, new.code(1), HOME)).session.account


async def test_a_secret_waits_half_an_hour_for_its_code(reception: Reception) -> None:
    member = await reception.member()
    await reception.factors.begin_app(member.session)
    age = totp.SET_UP_LASTS + timedelta(seconds=1)
    await reception.run("update totp_secrets set created_at = created_at - :age", age=age)
    assert await reception.factors.new_app(member.session) is None


async def test_what_is_stored_opens_nothing(reception: Reception) -> None:
    member, phone, codes = await with_two_steps(reception)
    dump = str(
        await reception.rows(
            "select sealed::text from totp_secrets union select code_hash::text from recovery_codes"
        )
    )
    secret = phone._totp.secret
    for known in (secret, codes[0], codes[0].replace("-", "")):
        assert known not in dump and known.encode().hex() not in dump
    assert member.session.account


async def test_new_recovery_codes_replace_the_old_ones_once_one_is_typed(reception: Reception) -> None:
    member, _, old = await with_two_steps(reception)
    new = await reception.factors.make_codes(member.session)
    waiting = await reception.first_step(ALICE, ALICES)
    with pytest.raises(WrongStepCode):
        await reception.steps.by_code(waiting.session, new[0], HOME)
    assert (await reception.steps.by_code(waiting.session, old[0], HOME)).session.account
    with pytest.raises(WrongStepCode):
        await reception.factors.prove_codes(member.session, old[1], HOME)
    assert await reception.factors.prove_codes(member.session, new[0], HOME) is False
    waiting = await reception.first_step(ALICE, ALICES)
    for used_up in (old[1], new[0]):
        with pytest.raises(WrongStepCode):
            await reception.steps.by_code(waiting.session, used_up, HOME)
    assert (await reception.steps.by_code(waiting.session, new[1], HOME)).session.account


async def test_removing_the_last_factor_makes_one_step_enough_and_ends_the_codes(reception: Reception) -> None:
    member, _, _ = await with_two_steps(reception)
    await reception.factors.remove_app(member.session, HOME)
    with pytest.raises(NoFactor):
        await reception.factors.remove_app(member.session, HOME)
    assert (await reception.sign_in(ALICE, ALICES)).session.account
    assert await reception.rows("select 1 from recovery_codes") == []
    assert (await told(reception))[-2:] == ["app_removed", "two_steps_off"]


async def test_who_it_is_is_shown_by_both_steps(reception: Reception) -> None:
    member, phone, codes = await with_two_steps(reception)
    await reception.run("update sessions set verified_at = now() - interval '16 minutes'")

    async def present() -> Session:
        found = await reception.sessions.find(member.secret)
        assert found
        return found

    assert not is_recent(await present())
    for password, code, error in (
        (MALLORYS, phone.code(), WrongCurrentPassword),
        (ALICES, "", WrongStepCode),
        (ALICES, wrong(phone), WrongStepCode),
    ):
        with pytest.raises(error):
            await reception.recent.by_password(member.session, password, code, HOME)
        assert not is_recent(await present())
    await reception.recent.by_password(member.session, ALICES, phone.code(), HOME)
    assert is_recent(await present())
    with pytest.raises(WrongStepCode):
        await reception.recent.by_password(member.session, ALICES, phone.code(), HOME)
    await reception.recent.by_password(member.session, ALICES, codes[0], HOME)


async def test_this_was_not_me_takes_back_the_factors_added_since_and_no_older_ones(reception: Reception) -> None:
    _, _, codes = await with_two_steps(reception)
    waiting = await reception.first_step(ALICE, ALICES)
    thief = await reception.steps.by_code(waiting.session, codes[0], HOME)  # a stolen recovery code
    notice = await newest_notice(reception)
    await reception.factors.begin_app(thief.session)
    secret = await reception.factors.new_app(thief.session)
    assert secret
    await reception.factors.prove_app(thief.session, Phone(secret.text).code(), HOME)
    ticket = await reception.takeover.disown(notice, session=await reception.browser(), origin=HOME)
    assert await reception.sessions.find(thief.secret) is None
    with pytest.raises(WrongCredentials):
        await reception.sign_in(ALICE, ALICES)
    assert await reception.rows("select 1 from totp_secrets") == [], (
        "the thief's app took the place of the old one"
    )
    assert (await reception.choose(await reception.password_token(ticket), NEW)).session.account


async def test_this_was_not_me_does_not_help_who_only_reads_the_mails_past_the_second_step(
    reception: Reception,
) -> None:
    member, _, _ = await with_two_steps(reception)
    await reception.password_change.change(
        member.session, current=ALICES, password=NEW, end_others=False, origin=HOME
    )
    ticket = await reception.takeover.disown(
        await newest_notice(reception), session=await reception.browser(), origin=HOME
    )
    outcome = await reception.password_reset.reset(
        await reception.password_token(ticket), password=MALLORYS, session=None, user_agent=FIREFOX
    )
    assert isinstance(outcome, SecondStepNeeded)


async def newest_notice(reception: Reception) -> str:
    [(mail_id, nonce)] = await reception.rows(
        "select id, nonce from mails where kind = 'security_notice' order by id desc limit 1"
    )
    return reception.tokens.token(mail_id, nonce, NOT_ME)


async def test_the_shell_turns_two_steps_off_for_who_has_lost_everything(reception: Reception) -> None:
    member, _, _ = await with_two_steps(reception)
    async with reception.database.begin() as work:
        account = await reception.factors.turn_off_by_operator(work, ALICE.upper(), Origin("mailroom"))
    assert account.email == ALICE
    assert await reception.sessions.find(member.secret) is None
    assert (await reception.sign_in(ALICE, ALICES)).session.account
    assert (await told(reception))[-1] == "two_steps_off"


async def test_what_is_over_is_deleted(reception: Reception) -> None:
    await with_two_steps(reception)
    await reception.first_step(ALICE, ALICES)
    await reception.run("update pending_sign_ins set expires_at = now() - interval '1 second'")
    await reception.steps.clean_up()
    assert await reception.rows("select 1 from pending_sign_ins") == []
