"""Which accounts of other sites sign in to an account here: linking, unlinking, listing.

Only the owner links an account, who is signed in and has proved so a short while ago. It is never linked because
of an address.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import delete, func, select, update

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import InvalidAddress, LastWayIn
from mailroom.accounts.identity_rows import write_link
from mailroom.accounts.models import Account, AccountIdentity
from mailroom.accounts.providers.errors import (
    IdentityTaken,
    TooManyIdentities,
    UnknownIdentity,
    UnverifiedAddress,
)
from mailroom.accounts.providers.person import Person, SignInProvider
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.two_factor.owner import account_of
from mailroom.accounts.two_factor.ways_in import ways_into
from mailroom.accounts.views import Origin, Session
from mailroom.kit.database import Database, UnitOfWork

MOST = 10
"""Accounts of other sites that may sign in to one account."""


@dataclass(frozen=True, slots=True)
class IdentityView:
    """An account of another site, as the owner of the account here sees it."""

    id: UUID
    label: str
    """What the provider is called, or its issuer if it is no longer in use."""
    is_usable: bool
    """False if the provider is no longer in use."""
    email: str | None
    created_at: datetime
    used_at: datetime | None


class Identities:
    """Links and unlinks the account that is signed in. `providers` are those in use, by name."""

    def __init__(self, database: Database, providers: Mapping[str, SignInProvider], log: SecurityLog) -> None:
        self._database = database
        self._log = log
        self._labels = {one.issuer: one.label for one in providers.values()}

    async def of_account(self, session: Session) -> Sequence[IdentityView]:
        """Return what the account is linked with, the oldest first."""
        mine = session.account.id if session.account else None
        rows = select(AccountIdentity).where(AccountIdentity.account_id == mine).order_by(AccountIdentity.id)
        async with self._database.begin() as work:
            found = (await work.session.scalars(rows)).all()
        return [
            IdentityView(
                one.id,
                self._labels.get(one.issuer, one.issuer),
                one.issuer in self._labels,
                one.email,
                one.created_at,
                one.used_at,
            )
            for one in found
        ]

    async def link(self, session: Session, provider: SignInProvider, person: Person, origin: Origin) -> None:
        """Link the account that is signed in with a person's at a provider, and tell its owner by mail.

        Raises `UnverifiedAddress`, `IdentityTaken`, `TooManyIdentities`.
        """
        if not (person.email and person.is_verified):
            raise UnverifiedAddress(provider.label)
        async with self._database.begin() as work:
            account = await account_of(work, session)
            found = await find(work, provider.issuer, person.subject)
            if found is not None and found.account_id == account.id:
                return
            mine = select(func.count()).where(AccountIdentity.account_id == account.id)
            if int(await work.session.scalar(mine) or 0) >= MOST:
                raise TooManyIdentities
            if not await write_link(work, account.id, provider.issuer, person.subject, person.email):
                raise IdentityTaken(provider.label)
            sites = _named(provider.label, person.email)
            await self._log.notify(work, account, EventKind.IDENTITY_LINKED, origin, sites=sites)

    async def unlink(self, session: Session, identity_id: UUID, origin: Origin) -> None:
        """Forget a link of the account that is signed in, and tell its owner by mail.

        Raises `UnknownIdentity`, and `LastWayIn` if the owner could not sign in by any other means then.
        """
        async with self._database.begin() as work:
            account = await account_of(work, session)
            row = await work.session.get(AccountIdentity, identity_id)
            if row is None or row.account_id != account.id:
                raise UnknownIdentity
            ways = await ways_into(work, account, tuple(self._labels))
            if ways.count - (row.issuer in self._labels) < 1:
                raise LastWayIn
            await work.session.execute(delete(AccountIdentity).where(AccountIdentity.id == row.id))
            await self._log.notify(work, account, EventKind.IDENTITY_UNLINKED, origin)


async def find(work: UnitOfWork, issuer: str, subject: str) -> AccountIdentity | None:
    """Return the link of a person at an issuer. A link is never found by an address."""
    wanted = select(AccountIdentity).where(AccountIdentity.issuer == issuer, AccountIdentity.subject == subject)
    return await work.session.scalar(wanted)


async def note_use(work: UnitOfWork, identity: AccountIdentity) -> None:
    """Note that somebody signed in by this link just now."""
    mine = update(AccountIdentity).where(AccountIdentity.id == identity.id)
    await work.session.execute(mine.values(used_at=func.now()))


async def unlink_all(work: UnitOfWork, account: Account) -> None:
    """Forget every link of an account: its owner says that somebody else got in."""
    await work.session.execute(delete(AccountIdentity).where(AccountIdentity.account_id == account.id))


async def named_in_mails(work: UnitOfWork, account_id: UUID) -> str:
    """Return what an account is linked with, as mails name it: hosts, and addresses there."""
    mine = select(AccountIdentity).where(AccountIdentity.account_id == account_id).order_by(AccountIdentity.id)
    found = await work.session.scalars(mine)
    return ", ".join(_named(urlsplit(one.issuer).hostname or one.issuer, one.email) for one in found)


def _named(site: str, email: str | None) -> str:
    try:
        return f"{site} ({Address.parse(email or '').email})"
    except InvalidAddress:  # the other site chose this text: only a valid address gets into our mails
        return site


async def names_of(
    work: UnitOfWork, account_id: UUID, providers: Collection[SignInProvider]
) -> list[SignInProvider]:
    """Return the providers in use that sign in to an account."""
    rows = select(AccountIdentity.issuer).where(AccountIdentity.account_id == account_id)
    issuers = set(await work.session.scalars(rows))
    return [one for one in providers if one.issuer in issuers]
