"""Invitations to sign up: operators make them, a mail takes them, and the sign-up of an account uses them up.

Opening the link does not use it up: mail scanners open links.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, insert, select, update

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.models import Invitation
from mailroom.accounts.sign_up import sign_ups
from mailroom.accounts.sign_up.errors import (
    AlreadyMember,
    OldInvitation,
    UnknownInvitation,
    UsedInvitation,
    WithdrawnInvitation,
    WrongInvitation,
)
from mailroom.accounts.tokens import INVITATION, Tokens, mail_id_of
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.mail.models import Mail
from mailroom.mail.outbox import Outbox

INVITE = "invitation"
"""The kind of its mail."""


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation; `state` is ``open``, ``used``, ``expired`` or ``revoked``; `mail_state` is its mail's."""

    id: UUID
    email: str
    bound: bool
    mail_id: UUID
    state: str
    mail_state: str
    created_at: datetime
    expires_at: datetime


class Invitations:
    """Makes, finds, lists and revokes invitations. Each method works in the caller's transaction."""

    def __init__(self, outbox: Outbox, tokens: Tokens, *, days: int) -> None:
        self._outbox = outbox
        self._tokens = tokens
        self._lasts = timedelta(days=days)

    async def create(
        self, work: UnitOfWork, email: str, *, bound: bool = True, inviter_id: UUID | None = None
    ) -> InvitationView:
        """Invite somebody by mail; the inviter may watch that mail. `bound`: only this address may sign up.

        Raises `InvalidAddress`, and `AlreadyMember` if an account has the address.
        """
        address = Address.parse(email)
        if await sign_ups.account_of(work, address.key):
            raise AlreadyMember
        mail_id = await self._outbox.put(work, INVITE, address.email, {}, owner_id=inviter_id)
        row = {
            "id": new_id(),
            "email": address.email,
            "email_key": address.key,
            "bound": bound,
            "mail_id": mail_id,
            "inviter_id": inviter_id,
            "expires_at": func.now() + self._lasts,
        }
        made = (await work.session.scalars(insert(Invitation).values(row).returning(Invitation))).one()
        return _view(made, "queued", made.created_at)

    async def list(self, work: UnitOfWork, *, limit: int = 100) -> Sequence[InvitationView]:
        """Return the newest invitations, newest first."""
        rows = (
            select(Invitation, Mail.state, func.now())
            .outerjoin(Mail, Mail.id == Invitation.mail_id)
            .order_by(Invitation.id.desc())
            .limit(limit)
        )
        return [_view(row, state or "", now) for row, state, now in await work.session.execute(rows)]

    async def revoke(self, work: UnitOfWork, invitation_id: UUID) -> str:
        """Take an invitation back that nobody has used; return its address. Raises `UnknownInvitation`."""
        unused = (Invitation.id == invitation_id, Invitation.used_at.is_(None), Invitation.revoked_at.is_(None))
        gone = update(Invitation).where(*unused).values(revoked_at=func.now()).returning(Invitation.email)
        email = await work.session.scalar(gone)
        if email is None:
            raise UnknownInvitation
        return email

    async def of_token(self, work: UnitOfWork, token: str) -> Invitation:
        """Return the invitation of a link that may still be used; changes nothing.

        Raises `WrongInvitation`, `UsedInvitation`, `WithdrawnInvitation`, `OldInvitation`.
        """
        mail_id = mail_id_of(token)
        if mail_id is None:
            raise WrongInvitation
        rows = (
            select(Invitation, Mail.nonce, func.now())
            .join(Mail, Mail.id == Invitation.mail_id)
            .where(Invitation.mail_id == mail_id)
        )
        row = (await work.session.execute(rows)).one_or_none()
        if row is None:
            raise WrongInvitation
        invitation, nonce, now = row
        if nonce is None:
            raise OldInvitation  # so long ago that the clean-up deleted the nonce that the link is made from
        if not self._tokens.fits(token, mail_id, nonce, INVITATION):
            raise WrongInvitation
        found: Invitation = invitation
        _check(found, now)
        return found

    async def use(self, work: UnitOfWork, invitation_id: UUID, account_id: UUID) -> None:
        """Use up an invitation for the account that came of it.

        One that has expired since the sign-up still counts. Raises `UsedInvitation`, `WithdrawnInvitation`.
        """
        unused = (Invitation.id == invitation_id, Invitation.used_at.is_(None), Invitation.revoked_at.is_(None))
        used = {"used_at": func.now(), "account_id": account_id}
        done = update(Invitation).where(*unused).values(used).returning(Invitation.id)
        if await work.session.scalar(done) is not None:
            return
        found = await work.session.get(Invitation, invitation_id)
        raise WithdrawnInvitation if found is None or found.revoked_at else UsedInvitation


def _check(invitation: Invitation, now: datetime) -> None:
    if invitation.used_at:
        raise UsedInvitation
    if invitation.revoked_at:
        raise WithdrawnInvitation
    if invitation.expires_at <= now:
        raise OldInvitation


def _view(row: Invitation, mail_state: str, now: datetime) -> InvitationView:
    state = "open"
    if row.used_at:
        state = "used"
    elif row.revoked_at:
        state = "revoked"
    elif row.expires_at <= now:
        state = "expired"
    return InvitationView(
        row.id, row.email, row.bound, row.mail_id, state, mail_state, row.created_at, row.expires_at
    )
