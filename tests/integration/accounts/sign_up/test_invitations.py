"""Who may sign up: everyone, those who were invited, those of a domain, or nobody."""

from uuid import UUID

import pytest

from mailroom.accounts.errors import AccountError
from mailroom.accounts.sign_up.errors import (
    AlreadyMember,
    InvitationNeeded,
    NotTheInvited,
    OldInvitation,
    SignUpClosed,
    UnknownInvitation,
    UsedInvitation,
    WithdrawnInvitation,
    WrongDomain,
    WrongInvitation,
)
from mailroom.accounts.sign_up.invitations import InvitationView
from mailroom.accounts.sign_up.registration import Registration
from mailroom.accounts.tokens import CONFIRMATION, INVITATION
from mailroom.settings.registration import RegistrationRule
from tests.integration.accounts.conftest import ALICE, ALICES, MALLORYS, Reception

BOB, OLGA = "bob@example.org", "olga@example.org"


def under(reception: Reception, rule: str) -> Registration:
    return Registration(
        reception.database,
        reception.outbox,
        reception.tickets,
        reception.passwords,
        reception.sessions,
        queue=reception.queue,
        site=["localhost"],
        rule=RegistrationRule.parse(rule),
        invitations=reception.invitations,
    )


async def invite(reception: Reception, email: str = ALICE, **more: object) -> InvitationView:
    async with reception.database.begin() as work:
        return await reception.invitations.create(work, email, **more)  # type: ignore[arg-type]


async def token_of(reception: Reception, made: InvitationView, purpose: str = INVITATION) -> str:
    mail = await reception.mail(made.mail_id)
    assert mail.nonce
    return reception.tokens.token(mail.id, mail.nonce, purpose)


async def state_of(reception: Reception, made: InvitationView) -> str:
    async with reception.database.begin() as work:
        return next(one.state for one in await reception.invitations.list(work) if one.id == made.id)


async def open_link(reception: Reception, token: str) -> UUID:
    async with reception.database.begin() as work:
        return (await reception.invitations.of_token(work, token)).id


@pytest.mark.parametrize(
    ("rule", "email", "error"),
    [
        ("closed", ALICE, SignUpClosed),
        ("invite", ALICE, InvitationNeeded),
        ("domains:example.net", ALICE, WrongDomain),
        ("domains:example.org", "alice@sub.example.org", WrongDomain),
        ("domains:example.org", "alice@example.org.mallory.example", WrongDomain),
        ("domains:example.org,straße.example", ALICE, None),
        ("domains:example.org,straße.example", "alice@straße.example", None),
        ("domains:Example.ORG", "Alice@EXAMPLE.org", None),
        ("open", ALICE, None),
    ],
)
async def test_the_rule_decides_by_the_address_alone_whoever_has_an_account(
    reception: Reception, rule: str, email: str, error: type[AccountError] | None
) -> None:
    registration = under(reception, rule)
    for known in (False, True):
        if known:
            await reception.wait(hours=2)
            await reception.member(email)
        session = await reception.browser()
        if error is None:
            assert await registration.sign_up(email=email, password=MALLORYS, session=session)
        else:
            with pytest.raises(error):
                await registration.sign_up(email=email, password=MALLORYS, session=session)


async def test_an_invitation_is_used_up_by_the_account_not_by_looking_or_signing_up(reception: Reception) -> None:
    registration, made = under(reception, "invite"), await invite(reception)
    token, session = await token_of(reception, made), await reception.browser()
    for _ in range(3):
        assert await open_link(reception, token) == made.id
    for _ in range(2):  # the first mail may get lost
        ticket = await registration.sign_up(email=ALICE, password=ALICES, session=session, invitation=token)
        assert await state_of(reception, made) == "open"
    started = await reception.confirm(ticket, session)
    assert started.session.account and started.session.account.email == ALICE
    assert await state_of(reception, made) == "used"
    with pytest.raises(UsedInvitation):
        await open_link(reception, token)
    with pytest.raises(AlreadyMember):
        await invite(reception)


async def test_one_invitation_makes_one_account_also_where_two_sign_up_at_once(reception: Reception) -> None:
    registration, made = under(reception, "invite"), await invite(reception, bound=False)
    token, tickets = await token_of(reception, made), {}
    for email in (ALICE, BOB):
        session = await reception.browser()
        ticket = await registration.sign_up(email=email, password=MALLORYS, session=session, invitation=token)
        tickets[ticket] = session
    first, second = tickets
    await reception.confirm(first, tickets[first])
    with pytest.raises(UsedInvitation):
        await reception.confirm(second, tickets[second])
    with pytest.raises(UsedInvitation):
        await reception.type_code(await reception.code(second), tickets[second], second)
    assert await reception.rows("select email from accounts") == [(ALICE,)]


async def test_an_invitation_is_for_its_address_unless_it_is_for_anyone(reception: Reception) -> None:
    registration = under(reception, "domains:example.net")
    bound, free = await invite(reception), await invite(reception, bound=False)
    session = await reception.browser()
    with pytest.raises(NotTheInvited):
        await registration.sign_up(
            email=BOB, password=MALLORYS, session=session, invitation=await token_of(reception, bound)
        )
    assert await registration.sign_up(
        email=BOB, password=MALLORYS, session=session, invitation=await token_of(reception, free)
    )
    with pytest.raises(SignUpClosed):
        await under(reception, "closed").sign_up(
            email=ALICE, password=MALLORYS, session=session, invitation=await token_of(reception, bound)
        )


async def test_expired_revoked_foreign_and_made_up_links_say_what_they_are(reception: Reception) -> None:
    made = await invite(reception)
    token = await token_of(reception, made)
    for wrong in ("", "A" * 48, token[:-1] + ("A" if token[-1] != "A" else "B")):
        with pytest.raises(WrongInvitation):
            await open_link(reception, wrong)
    with pytest.raises(WrongInvitation):
        await open_link(reception, await token_of(reception, made, CONFIRMATION))
    await reception.run("update invitations set expires_at = now() - interval '1 second'")
    with pytest.raises(OldInvitation):
        await open_link(reception, token)
    assert await state_of(reception, made) == "expired"
    await reception.run("update invitations set expires_at = now() + interval '1 day'")
    async with reception.database.begin() as work:
        assert await reception.invitations.revoke(work, made.id) == ALICE
    with pytest.raises(WithdrawnInvitation):
        await open_link(reception, token)
    async with reception.database.begin() as work:
        with pytest.raises(UnknownInvitation):
            await reception.invitations.revoke(work, made.id)


async def test_a_sign_up_of_a_revoked_invitation_is_not_confirmed(reception: Reception) -> None:
    registration, made = under(reception, "invite"), await invite(reception)
    session = await reception.browser()
    ticket = await registration.sign_up(
        email=ALICE, password=ALICES, session=session, invitation=await token_of(reception, made)
    )
    async with reception.database.begin() as work:
        await reception.invitations.revoke(work, made.id)
    with pytest.raises(WithdrawnInvitation):
        await reception.confirm(ticket, session)
    assert await reception.rows("select id from accounts") == []


async def test_whoever_invites_may_watch_the_mail_and_nobody_else(reception: Reception) -> None:
    olga, bob = await reception.member(OLGA), await reception.member(BOB, MALLORYS)
    assert olga.session.account
    made = await invite(reception, inviter_id=olga.session.account.id)
    assert await reception.may_watch(made.mail_id, olga.session)
    assert not await reception.may_watch(made.mail_id, bob.session)
