"""Passkeys (WebAuthn level 3): enrolling them, and checking what they sign.

Every ceremony asks the device to verify its user, by a PIN or a finger: a passkey is two factors by itself, so
signing in with one takes no second step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, update

from mailroom.accounts.errors import PasskeysRefused, TooManyPasskeys, UnknownPasskey, WrongPasskey
from mailroom.accounts.models import Account
from mailroom.accounts.two_factor import challenges
from mailroom.accounts.two_factor.challenges import Purpose
from mailroom.accounts.two_factor.models import Passkey
from mailroom.accounts.two_factor.site import Options, PasskeySite
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import new_id

if TYPE_CHECKING:
    from mailroom.accounts.two_factor.ceremonies import Ceremonies

MOST = 20
"""Passkeys an account may have."""
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class PasskeyView:
    """A passkey as its owner sees it."""

    id: UUID
    name: str
    is_synced: bool
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A passkey that signed its challenge: whose it is, and when it was added."""

    account_id: UUID
    since: datetime


class Passkeys:
    """Enrols and checks the passkeys of one site; `name` is what devices call it."""

    def __init__(self, site: PasskeySite, *, name: str) -> None:
        self.site = site
        self._name = name

    @cached_property
    def _ceremonies(self) -> "Ceremonies":
        # Loaded with the first ceremony, in 80 ms: pyOpenSSL and ASN.1 come with it, 8 MB that no worker needs.
        from mailroom.accounts.two_factor.ceremonies import Ceremonies

        return Ceremonies(self.site, self._name)

    async def options_to_enrol(self, work: UnitOfWork, account: Account, session_id: UUID) -> Options:
        """Return what a new passkey of this account is made from. Raises `PasskeysRefused`, `TooManyPasskeys`."""
        self._check_site()
        own = await self._of(work, account.id)
        if len(own) >= MOST:
            raise TooManyPasskeys
        return self._ceremonies.options_to_enrol(
            user_id=account.id.bytes,
            user_name=account.email,
            display_name=account.name or account.email,
            challenge=await challenges.put(work, session_id, Purpose.ENROL),
            known=own,
        )

    async def enrol(
        self,
        work: UnitOfWork,
        account: Account,
        challenge: bytes | None,
        credential: Mapping[str, Any],
        *,
        name: str,
    ) -> None:
        """Keep a new passkey. Raises `WrongPasskey` if it was not made for this challenge and site."""
        self._check_site()
        if challenge is None:
            raise WrongPasskey
        made = self._ceremonies.enrolled(challenge, credential)
        known = select(Passkey.id).where(Passkey.credential_id == made.credential_id)
        if await work.session.scalar(known) is not None or len(await self._of(work, account.id)) >= MOST:
            raise WrongPasskey
        row = {
            "id": new_id(),
            "account_id": account.id,
            "credential_id": made.credential_id,
            "public_key": made.public_key,
            "sign_count": made.sign_count,
            "name": " ".join(name.split())[:LONGEST_NAME] or "Passkey",
            "transports": made.transports,
            "is_synced": made.is_synced,
        }
        await work.session.execute(insert(Passkey).values(row))

    async def options_to_check(
        self, work: UnitOfWork, session_id: UUID, purpose: Purpose, account_id: UUID | None = None
    ) -> Options:
        """Return what a passkey is asked to sign: any of this site, or one of an account that is known already.

        Raises `PasskeysRefused`.
        """
        self._check_site()
        return self._ceremonies.options_to_check(
            challenge=await challenges.put(work, session_id, purpose),
            known=await self._of(work, account_id) if account_id else None,
        )

    async def check(
        self,
        work: UnitOfWork,
        challenge: bytes | None,
        credential: Mapping[str, Any],
        account_id: UUID | None = None,
    ) -> Shown:
        """Return the passkey that signed the challenge.

        With `account_id` it has to be that account's. `challenge` is what `challenges.take` gave, in a transaction
        that was committed: it is used up, whatever is wrong with the rest. Raises `WrongPasskey`.
        """
        self._check_site()
        row = await self._by_credential(work, credential)
        if challenge is None or row is None or (account_id is not None and row.account_id != account_id):
            raise WrongPasskey
        count = self._ceremonies.checked(challenge, credential, row)
        if self._ceremonies.user_handle_of(credential) not in {None, row.account_id.bytes}:
            raise WrongPasskey
        used = (
            update(Passkey)
            .where(Passkey.id == row.id, or_(Passkey.sign_count < count, Passkey.sign_count == 0))
            .values(sign_count=count, used_at=func.now())
            .returning(Passkey.account_id)
        )
        owner = await work.session.scalar(used)
        if owner is None:  # a copy of the passkey was used at the same time
            raise WrongPasskey
        return Shown(owner, row.created_at)

    async def of_account(self, work: UnitOfWork, account_id: UUID) -> list[PasskeyView]:
        """Return the passkeys of an account, the oldest first."""
        rows = await self._of(work, account_id)
        return [PasskeyView(one.id, one.name, one.is_synced, one.created_at, one.used_at) for one in rows]

    async def remove(self, work: UnitOfWork, account_id: UUID, passkey_id: UUID) -> None:
        """Forget a passkey of this account. Raises `UnknownPasskey`."""
        gone = delete(Passkey).where(Passkey.id == passkey_id, Passkey.account_id == account_id)
        if await work.session.scalar(gone.returning(Passkey.id)) is None:
            raise UnknownPasskey

    async def _of(self, work: UnitOfWork, account_id: UUID) -> list[Passkey]:
        rows = select(Passkey).where(Passkey.account_id == account_id).order_by(Passkey.id)
        return list(await work.session.scalars(rows))

    async def _by_credential(self, work: UnitOfWork, credential: Mapping[str, Any]) -> Passkey | None:
        credential_id = self._ceremonies.credential_id_of(credential)
        if credential_id is None:
            return None
        return await work.session.scalar(select(Passkey).where(Passkey.credential_id == credential_id))

    def _check_site(self) -> None:
        if self.site.obstacle:
            raise PasskeysRefused
