"""Proving once more that it is the owner, before anything that changes the security of an account.

If signing in takes two steps, both are asked for; a passkey is both by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailroom.accounts.authentication import lock_unchanged
from mailroom.accounts.changes.password_change import PasswordChange
from mailroom.accounts.errors import AccountError, UnknownAccount, WrongCurrentPassword
from mailroom.accounts.models import Account
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions, stands_for_password
from mailroom.accounts.two_factor import challenges
from mailroom.accounts.two_factor.challenges import Purpose
from mailroom.accounts.two_factor.owner import account_of
from mailroom.accounts.two_factor.passkeys import Passkeys
from mailroom.accounts.two_factor.site import Options
from mailroom.accounts.two_factor.typed_codes import CodeKind, TypedCodes
from mailroom.accounts.two_factor.ways_in import ways_into
from mailroom.accounts.views import Origin, Session
from mailroom.kit.database import Database, UnitOfWork


@dataclass(frozen=True, slots=True)
class RecentChoice:
    """By what the owner can prove who they are; another site is possible, too, if one is linked."""

    has_password: bool
    has_passkey: bool
    has_old_passkey: bool
    """True if there is a passkey that replaces the password in this session."""


class RecentSignIn:
    """Notes in a session that its owner has just proved who they are."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        password_change: PasswordChange,
        log: SecurityLog,
        *,
        codes: TypedCodes,
        passkeys: Passkeys,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._password_change = password_change
        self._log = log
        self._codes = codes
        self._passkeys = passkeys

    async def by_password(self, session: Session, password: str, code: str, origin: Origin) -> None:
        """Take the password, and with two steps a `code` of the app or a recovery code.

        Raises `WrongCurrentPassword`, and what is wrong with the code.
        """
        if session.account is None:
            raise UnknownAccount
        compared = await self._password_change.check(session.account.id, password)
        async with self._database.begin() as work:
            wrong = await self._take_code(work, compared, code, origin)
            if wrong is None:
                await self._sessions.verified(work, session)
        if wrong is not None:
            raise wrong  # only now: the try has to be counted

    async def second_step(self, session: Session, code: str, origin: Origin) -> None:
        """Take the second step alone, if the account has two: the first follows at another site.

        Raises what is wrong with the code. Nothing is noted in the session yet.
        """
        async with self._database.begin() as work:
            wrong = await self._take_step(work, await account_of(work, session), code, origin)
        if wrong is not None:
            raise wrong  # only now: the try has to be counted

    async def passkey_options(self, session: Session) -> Options:
        """Return what a passkey of the account is to sign. Raises `PasskeysRefused`."""
        if session.account is None:
            raise UnknownAccount
        async with self._database.begin() as work:
            return await self._passkeys.options_to_check(work, session.id, Purpose.RECENT, session.account.id)

    async def by_passkey(self, session: Session, credential: Mapping[str, Any]) -> None:
        """Take a passkey of the account. Raises `WrongPasskey`."""
        if session.account is None:
            raise UnknownAccount
        async with self._database.begin() as work:
            challenge = await challenges.take(work, session.id, Purpose.RECENT)
        async with self._database.begin() as work:
            shown = await self._passkeys.check(work, challenge, credential, session.account.id)
            await self._sessions.verified(work, session, passkey_since=shown.since)

    async def choice(self, session: Session) -> RecentChoice:
        """Return by what the owner can prove who they are."""
        async with self._database.begin() as work:
            account = await account_of(work, session)
            ways, passkeys = await ways_into(work, account), await self._passkeys.of_account(work, account.id)
        usable = [] if self._passkeys.site.obstacle else passkeys
        has_old = any(stands_for_password(one.created_at, session.created_at) for one in usable)
        return RecentChoice(ways.has_password, bool(usable), has_old)

    async def _take_code(
        self, work: UnitOfWork, compared: Account, code: str, origin: Origin
    ) -> AccountError | None:
        account = await lock_unchanged(work, compared)
        if account is None:
            return WrongCurrentPassword()
        return await self._take_step(work, account, code, origin)

    async def _take_step(
        self, work: UnitOfWork, account: Account, code: str, origin: Origin
    ) -> AccountError | None:
        if account.two_step_at is None:
            return None
        taken = await self._codes.take(work, account.id, code)
        if taken is CodeKind.RECOVERY:
            await self._log.notify(work, account, EventKind.RECOVERY_CODE_USED, origin)
        return taken if isinstance(taken, AccountError) else None
