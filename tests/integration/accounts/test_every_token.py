"""Every link of a mail: changed, for another purpose, another member's, used twice, twice at once, and too old."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from mailroom.accounts import errors
from mailroom.accounts.changes.deletion import Deletion
from mailroom.accounts.models import Account
from mailroom.accounts.security.security_log import EventKind
from mailroom.accounts.sign_up import errors as joining
from mailroom.accounts.sign_up.withdrawal import Withdrawal
from mailroom.accounts.tokens import (
    CONFIRMATION,
    INVITATION,
    KEEP_ACCOUNT,
    NEW_ADDRESS,
    NEW_PASSWORD,
    NOT_ME,
    NOT_MINE,
    PURPOSES,
    Tokens,
)
from mailroom.accounts.views import Origin, Session
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception

HOME = Origin(FIREFOX, "192.0.2.7")
BOB = "bob@example.org"


@dataclass
class Scene:
    """The room, and whose link it is."""

    reception: Reception
    alice: Session
    count: int = 0

    async def nothing(self, *_: Any, **__: Any) -> None:
        """Write no audit log."""

    @property
    def deletion(self) -> Deletion:
        room = self.reception
        return Deletion(
            room.database,
            room.outbox,
            tokens=room.tokens,
            sessions=room.sessions,
            log=room.log,
            audit=self.nothing,
        )

    async def mail(self, kind: str) -> UUID:
        newest = "select id from mails where kind = :kind order by id desc limit 1"
        found: UUID = (await self.reception.rows(newest, kind=kind))[0][0]
        return found


async def sign_up(scene: Scene) -> UUID:
    scene.count += 1
    scene.alice = await scene.reception.browser()
    return await scene.reception.sign_up(scene.alice, f"new-{scene.count}@example.org")


async def confirm(scene: Scene, token: str, session: Session) -> object:
    return await scene.reception.confirmation.confirm(token, session=session, password=None, user_agent=FIREFOX)


async def forget(scene: Scene) -> UUID:
    await scene.reception.wait(hours=25)
    return await scene.reception.forget()


async def reset(scene: Scene, token: str, session: Session) -> object:
    return await scene.reception.password_reset.reset(
        token, password=MALLORYS, session=session, user_agent=FIREFOX
    )


async def ask_address(scene: Scene) -> UUID:
    scene.count += 1
    scene.alice = (await scene.reception.sign_in(ALICE, ALICES)).session
    return await scene.reception.address_changes.ask(
        scene.alice, email=f"moved-{scene.count}@example.org", password=ALICES, origin=HOME
    )


async def move(scene: Scene, token: str, session: Session) -> object:
    await scene.reception.address_changes.confirm(token, session=session, origin=HOME)
    back = "update accounts set email = :email, email_key = :email where email like 'moved-%'"
    return await scene.reception.run(back, email=ALICE)


async def notice(scene: Scene) -> UUID:
    alice = (await scene.reception.sign_in(ALICE, ALICES)).session
    assert alice.account
    async with scene.reception.database.begin() as work:
        account = await work.session.get(Account, alice.account.id)
        assert account
        mail_id = await scene.reception.log.notify(work, account, EventKind.EXPORTED, HOME)
    assert mail_id
    return mail_id


async def disown(scene: Scene, token: str, session: Session) -> object:
    return await scene.reception.takeover.disown(token, session=session, origin=HOME)


async def leave(scene: Scene) -> UUID:
    await scene.deletion.ask((await scene.reception.sign_in(ALICE, ALICES)).session, origin=HOME)
    return await scene.mail("account_deletion")


async def stay(scene: Scene, token: str, _: Session) -> object:
    return await scene.deletion.undo_by_link(token, origin=HOME)


async def invite(scene: Scene) -> UUID:
    scene.count += 1
    async with scene.reception.database.begin() as work:
        made = await scene.reception.invitations.create(work, f"guest-{scene.count}@example.org", bound=False)
    return made.mail_id


async def join(scene: Scene, token: str, _: Session) -> object:
    scene.count += 1
    email = f"joins-{scene.count}@example.org"
    browser = await scene.reception.browser()
    ticket = await scene.reception.registration.sign_up(
        email=email, password=ALICES, session=browser, invitation=token
    )
    return await scene.reception.confirm(ticket, browser)


async def withdraw(scene: Scene, token: str, _: Session) -> object:
    return await Withdrawal(scene.reception.database, scene.reception.tokens).withdraw(token)


SENT = "update mails set state = 'sent', ended_at = now() - interval '{}' where id = :id"
DROPPED = "update mails set nonce = null where id = :id"
Error = type[Exception]


@dataclass(frozen=True)
class Kind:
    """Links of one purpose: how one comes about and is used, and what is said of one that does not work."""

    begin: Callable[[Scene], Awaitable[UUID]]
    use: Callable[[Scene, str, Session], Awaitable[object]]
    wrong: Error
    used: Error | None
    """None: a second use says the same as the first."""
    old: Error
    makes_old: str
    of_others: Error | None = None
    """What another member's browser gets; None: the mailbox is what counts."""


KINDS = {
    CONFIRMATION: Kind(
        sign_up, confirm, errors.WrongToken, errors.UsedToken, errors.ExpiredToken,
        SENT.format("49 hours"), errors.WrongPassword,
    ),
    NEW_PASSWORD: Kind(
        forget, reset, errors.WrongPasswordLink, errors.UsedPasswordLink, errors.OldPasswordLink,
        SENT.format("11 minutes"),
    ),
    NEW_ADDRESS: Kind(
        ask_address, move, errors.WrongAddressLink, errors.UsedAddressLink, errors.OldAddressLink,
        SENT.format("25 hours"), errors.NotThisAccount,
    ),
    NOT_ME: Kind(
        notice, disown, errors.WrongNoticeLink, errors.UsedNoticeLink, errors.OldNoticeLink,
        SENT.format("8 days"),
    ),
    KEEP_ACCOUNT: Kind(
        leave, stay, errors.WrongDeletionLink, errors.UsedDeletionLink, errors.OldDeletionLink, DROPPED
    ),
    INVITATION: Kind(
        invite, join, joining.WrongInvitation, joining.UsedInvitation, joining.OldInvitation,
        "update invitations set expires_at = now() where mail_id = :id",
    ),
    NOT_MINE: Kind(sign_up, withdraw, errors.WrongNoticeLink, None, errors.WrongNoticeLink, DROPPED),
}  # fmt: skip


def flipped(token: str, at: int) -> str:
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


def test_no_purpose_is_left_out() -> None:
    assert set(KINDS) == set(PURPOSES)


@pytest.mark.parametrize("purpose", KINDS)
async def test_a_link_opens_one_thing_once_and_in_time(reception: Reception, purpose: str) -> None:
    kind = KINDS[purpose]
    alice, bob = (await reception.member()).session, (await reception.member(BOB)).session
    scene = Scene(reception, alice)

    async def begun() -> tuple[UUID, bytes, str]:
        mail = await reception.mail(await kind.begin(scene))
        assert mail.nonce
        return mail.id, mail.nonce, reception.tokens.token(mail.id, mail.nonce, purpose)

    mail_id, nonce, right = await begun()
    changed = [flipped(right, at) for at in (0, 21, 24, 47)] + [right[:-1], right + "A", right[::-1], "x"]
    foreign = [reception.tokens.token(mail_id, nonce, other) for other in PURPOSES if other != purpose]
    forged = [
        Tokens(["k" * 40]).token(mail_id, nonce, purpose),
        reception.tokens.token(mail_id, bytes(16), purpose),
    ]
    for wrong in (*changed, *foreign, *forged):
        with pytest.raises(kind.wrong):
            await kind.use(scene, wrong, scene.alice)
    if kind.of_others:
        with pytest.raises(kind.of_others):
            await kind.use(scene, right, bob)

    both = await asyncio.gather(*(kind.use(scene, right, scene.alice) for _ in range(2)), return_exceptions=True)
    failed = [one for one in both if isinstance(one, BaseException)]
    assert [type(one) for one in failed] == ([kind.used] if kind.used else [])
    if kind.used:
        with pytest.raises(kind.used):
            await kind.use(scene, right, scene.alice)
    else:
        await kind.use(scene, right, scene.alice)

    await reception.run("update accounts set password_hash = :known", known=await reception.passwords.hash(ALICES))
    mail_id, _, right = await begun()
    await reception.run(kind.makes_old, id=mail_id)
    with pytest.raises(kind.old):
        await kind.use(scene, right, scene.alice)
