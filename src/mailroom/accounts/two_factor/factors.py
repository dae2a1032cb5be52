"""The second factors of an account: setting up, replacing and removing them.

Two steps are on once the account has a factor **and** its owner has proved that they have a copy of the recovery
codes: a lost phone must not mean a lost account. The owner is told of every change by mail. The pages ask for a
recent sign-in first, which takes a factor itself if two steps are on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import LastWayIn, NoFactor, UnknownAccount, WrongStepCode
from mailroom.accounts.models import Account
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.two_factor import challenges
from mailroom.accounts.two_factor.challenges import Purpose
from mailroom.accounts.two_factor.owner import account_of
from mailroom.accounts.two_factor.passkeys import Passkeys, PasskeyView
from mailroom.accounts.two_factor.recovery_codes import RecoveryCodes
from mailroom.accounts.two_factor.site import Options
from mailroom.accounts.two_factor.totp import NewSecret, Totp
from mailroom.accounts.two_factor.typed_codes import is_app_code, plain
from mailroom.accounts.two_factor.ways_in import ways_into
from mailroom.accounts.views import AccountView, Origin, Session
from mailroom.kit import clock
from mailroom.kit.database import Database, UnitOfWork


@dataclass(frozen=True, slots=True)
class FactorsView:
    """What an account has: `on_since` is None while one step is enough."""

    on_since: datetime | None
    app_since: datetime | None
    passkeys: list[PasskeyView]
    codes_left: int
    passkeys_obstacle: str | None
    """Why there can be no passkeys on this site, as a code."""

    @property
    def has_factor(self) -> bool:
        """True if there is a factor that a second step could ask for."""
        return bool(self.app_since or self.passkeys)


class Factors:
    """Changes the second factors of the account that is signed in."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        log: SecurityLog,
        *,
        totp: Totp,
        recovery_codes: RecoveryCodes,
        passkeys: Passkeys,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._log = log
        self._totp = totp
        self._recovery_codes = recovery_codes
        self._passkeys = passkeys

    async def overview(self, session: Session) -> FactorsView:
        """Return what the account has."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            app = await self._totp.in_use(work, account.id)
            return FactorsView(
                account.two_step_at,
                app.proven_at if app else None,
                await self._passkeys.of_account(work, account.id),
                await self._recovery_codes.left(work, account.id),
                self._passkeys.site.obstacle,
            )

    # -- an authenticator app

    async def begin_app(self, session: Session) -> None:
        """Make a new secret for an app. The one in use stays until the new one is proven."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            await self._totp.begin(work, account.id, session.id)

    async def new_app(self, session: Session) -> NewSecret | None:
        """Return the secret that this browser sets up, or None."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            return await self._totp.new_secret(work, account.id, session.id, account_name=account.email)

    async def prove_app(self, session: Session, code: str, origin: Origin) -> bool:
        """Take the first code of a new app; tell whether two steps are on. Raises `WrongStepCode`."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            if not is_app_code(plain(code)) or not await self._totp.prove(
                work, account.id, session.id, plain(code)
            ):
                raise WrongStepCode
            await self._log.notify(work, account, EventKind.APP_ADDED, origin)
            return account.two_step_at is not None

    async def remove_app(self, session: Session, origin: Origin) -> None:
        """Forget the app. Raises `NoFactor` if there is none."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            if not await self._totp.remove(work, account.id):
                raise NoFactor
            await self._log.notify(work, account, EventKind.APP_REMOVED, origin)
            await self._end_without_factor(work, account, origin)

    # -- passkeys

    async def passkey_options(self, session: Session) -> Options:
        """Return what a new passkey is made from. Raises `PasskeysRefused`, `TooManyPasskeys`."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            return await self._passkeys.options_to_enrol(work, account, session.id)

    async def add_passkey(
        self, session: Session, credential: Mapping[str, Any], *, name: str, origin: Origin
    ) -> bool:
        """Keep a new passkey; tell whether two steps are on. Raises `WrongPasskey`."""
        async with self._database.begin() as work:  # committed before anything is checked: it is used up
            challenge = await challenges.take(work, session.id, Purpose.ENROL)
        async with self._database.begin() as work:
            account = await account_of(work, session)
            await self._passkeys.enrol(work, account, challenge, credential, name=name)
            await self._log.notify(work, account, EventKind.PASSKEY_ADDED, origin)
            return account.two_step_at is not None

    async def remove_passkey(self, session: Session, passkey_id: UUID, origin: Origin) -> None:
        """Forget a passkey. Raises `UnknownPasskey`, and `LastWayIn` if the owner had no other way to sign in."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            await self._passkeys.remove(work, account.id, passkey_id)
            if not (await ways_into(work, account)).count:
                raise LastWayIn
            await self._log.notify(work, account, EventKind.PASSKEY_REMOVED, origin)
            await self._end_without_factor(work, account, origin)

    # -- recovery codes, and two steps as a whole

    async def make_codes(self, session: Session) -> list[str]:
        """Return new recovery codes, to be shown once. They are valid once one is typed. Raises `NoFactor`."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            if not await self._has_factor(work, account.id):
                raise NoFactor
            return await self._recovery_codes.make(work, account.id)

    async def has_new_codes(self, session: Session) -> bool:
        """Tell whether codes wait for their owner to type one."""
        async with self._database.begin() as work:
            return await self._recovery_codes.is_new(work, (await account_of(work, session)).id)

    async def prove_codes(self, session: Session, code: str, origin: Origin) -> bool:
        """Take one of the new codes, which is used up. Turn two steps on, and tell whether they were off.

        Other browsers, which signed in with one step, are signed out then. Raises `WrongStepCode`, `NoFactor`.
        """
        async with self._database.begin() as work:
            account = await account_of(work, session)
            if not await self._has_factor(work, account.id):
                raise NoFactor
            if not await self._recovery_codes.prove(work, account.id, plain(code)):
                raise WrongStepCode
            if account.two_step_at is not None:
                await self._log.notify(work, account, EventKind.CODES_MADE, origin)
                return False
            on = update(Account).where(Account.id == account.id)
            await work.session.execute(on.values(two_step_at=clock.now()))
            await self._sessions.revoke_others(work, account.id, but=session.id)
            await self._log.notify(work, account, EventKind.TWO_STEPS_ON, origin)
            return True

    async def turn_off(self, session: Session, origin: Origin) -> None:
        """Let one step be enough: forget the app and the recovery codes. Passkeys still sign in by themselves."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            if account.two_step_at is None:
                raise NoFactor
            await self._totp.remove(work, account.id)
            await self._off(work, account, origin)

    async def turn_off_by_operator(self, work: UnitOfWork, email: str, origin: Origin) -> AccountView:
        """Forget every factor of the account of an address, and end its sessions: for the shell, in `work`.

        Raises `InvalidAddress`, `UnknownAccount`.
        """
        wanted = select(Account).where(Account.email_key == Address.parse(email).key).with_for_update()
        account = await work.session.scalar(wanted)
        if account is None:
            raise UnknownAccount
        await self._totp.remove(work, account.id)
        for passkey in await self._passkeys.of_account(work, account.id):
            await self._passkeys.remove(work, account.id, passkey.id)
        await self._off(work, account, origin)
        await self._sessions.revoke_all(work, account.id)
        return AccountView.of(account)

    async def take_back(self, work: UnitOfWork, account: Account, since: datetime) -> None:
        """Remove the factors added at `since` or later: the owner says that they are somebody else's.

        Older ones stay: they stop somebody who only reads the owner's mails.
        """
        app = await self._totp.in_use(work, account.id)
        if app and app.proven_at and app.proven_at >= since:
            await self._totp.remove(work, account.id)
        for passkey in await self._passkeys.of_account(work, account.id):
            if passkey.created_at >= since:
                await self._passkeys.remove(work, account.id, passkey.id)
        await self._recovery_codes.remove_newer(work, account.id, since)
        turned_on = account.two_step_at is not None and account.two_step_at >= since
        if turned_on or not await self._has_factor(work, account.id):
            off = update(Account).where(Account.id == account.id)
            await work.session.execute(off.values(two_step_at=None, codes_due_at=None))

    async def _has_factor(self, work: UnitOfWork, account_id: UUID) -> bool:
        return await self._totp.in_use(work, account_id) is not None or bool(
            await self._passkeys.of_account(work, account_id)
        )

    async def _end_without_factor(self, work: UnitOfWork, account: Account, origin: Origin) -> None:
        if account.two_step_at is not None and not await self._has_factor(work, account.id):
            await self._off(work, account, origin)

    async def _off(self, work: UnitOfWork, account: Account, origin: Origin) -> None:
        await self._recovery_codes.remove(work, account.id)
        off = update(Account).where(Account.id == account.id)
        await work.session.execute(off.values(two_step_at=None, codes_due_at=None))
        await self._log.notify(work, account, EventKind.TWO_STEPS_OFF, origin)
