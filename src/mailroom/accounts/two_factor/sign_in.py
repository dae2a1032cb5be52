"""The last part of every sign-in: directly, or after the second step.

Every first step ends here: a password, a link to a new password, another provider. So none of them can skip the
second step.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from mailroom.accounts.errors import (
    AccountError,
    NoPendingSignIn,
    TooManyStepTries,
    WrongCredentials,
    WrongPasskey,
    WrongStepCode,
)
from mailroom.accounts.models import Account
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.two_factor import challenges
from mailroom.accounts.two_factor.challenges import Purpose
from mailroom.accounts.two_factor.models import PendingSignIn
from mailroom.accounts.two_factor.passkeys import Passkeys
from mailroom.accounts.two_factor.site import Options
from mailroom.accounts.two_factor.totp import Totp
from mailroom.accounts.two_factor.typed_codes import CodeKind, TypedCodes
from mailroom.accounts.views import NewSession, Origin, SecondStepNeeded, Session, SignedIn
from mailroom.kit.database import Database, UnitOfWork

LASTS = timedelta(minutes=10)
"""How long a sign-in waits for its second step."""
MOST_TRIES = 5
"""Wrong codes; then the sign-in begins anew."""


@dataclass(frozen=True, slots=True)
class StepChoice:
    """What the second step of a sign-in may be; a recovery code always may."""

    has_app: bool
    has_passkey: bool


@dataclass(frozen=True, slots=True)
class _Pending:
    row: PendingSignIn
    account: Account


class SignInSteps:
    """Ends first steps, and takes second ones."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        log: SecurityLog,
        *,
        totp: Totp,
        codes: TypedCodes,
        passkeys: Passkeys,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._log = log
        self._totp = totp
        self._codes = codes
        self._passkeys = passkeys

    async def finish(
        self,
        work: UnitOfWork,
        account: Account,
        session: Session | None,
        origin: Origin,
        *,
        kept: bool = True,
        is_noted: bool = False,
    ) -> SignedIn:
        """Let the owner in, or have the browser wait for the second step. The first one is done in `work`.

        The caller has locked the account row, and has made sure that it has not changed since the comparison.
        `is_noted` says that the history records the sign-in already. Raises `WrongCredentials` for an account that
        an operator locked, before any second step is asked for.
        """
        if account.locked_at:
            raise WrongCredentials
        if account.two_step_at is None and is_noted:
            return await self._sessions.enter(work, account, session, origin.user_agent, kept=kept)
        if account.two_step_at is None:
            return await self._enter(work, account, session, origin, kept=kept)
        started = await self._sessions.wait_for_step(work, session, origin.user_agent)
        row = {
            "session_id": started.session.id,
            "account_id": account.id,
            "password_mark": _mark(account.password_hash),
            "kept": kept,
            "tries": 0,
            "expires_at": func.now() + LASTS,
        }
        put = insert(PendingSignIn).values(row)
        await work.session.execute(put.on_conflict_do_update(index_elements=["session_id"], set_=row))
        return SecondStepNeeded(started)

    async def choice(self, session: Session | None) -> StepChoice:
        """Return what may be the second step of this browser's sign-in. Raises `NoPendingSignIn`."""
        async with self._database.begin() as work:
            pending = await self._pending(work, session)
            has_app = await self._totp.in_use(work, pending.account.id) is not None
            has_passkey = bool(await self._passkeys.of_account(work, pending.account.id))
            return StepChoice(has_app, has_passkey and not self._passkeys.site.obstacle)

    async def by_code(self, session: Session | None, code: str, origin: Origin) -> NewSession:
        """Take a typed code as the second step, and let the owner in.

        Raises `NoPendingSignIn`, `WrongStepCode`, `MalformedStepCode`, `TooManyStepCodes`, `TooManyStepTries`.
        """
        async with self._database.begin() as work:
            outcome = await self._try_code(work, session, code, origin)
        if isinstance(outcome, AccountError):
            raise outcome  # only now: the try has to be counted, so the transaction must not fail
        return outcome

    async def passkey_options(self, session: Session | None) -> Options:
        """Return what a passkey is to sign as the second step. Raises `NoPendingSignIn`, `PasskeysRefused`."""
        async with self._database.begin() as work:
            pending = await self._pending(work, session)
            return await self._passkeys.options_to_check(
                work, pending.row.session_id, Purpose.SECOND_STEP, pending.account.id
            )

    async def by_passkey(
        self, session: Session | None, credential: Mapping[str, Any], origin: Origin
    ) -> NewSession:
        """Take a passkey as the second step. Raises `NoPendingSignIn`, `WrongPasskey`."""
        challenge = await self._challenge(session, Purpose.SECOND_STEP)
        async with self._database.begin() as work:
            pending = await self._pending(work, session, locked=True)
            shown = await self._passkeys.check(work, challenge, credential, pending.account.id)
            return await self._let_in(work, pending, session, origin, passkey_since=shown.since)

    async def sign_in_options(self, session: Session) -> Options:
        """Return what any passkey of this site is to sign, to sign in with it alone. Raises `PasskeysRefused`."""
        async with self._database.begin() as work:
            return await self._passkeys.options_to_check(work, session.id, Purpose.SIGN_IN)

    async def sign_in_by_passkey(
        self, session: Session | None, credential: Mapping[str, Any], origin: Origin, *, kept: bool
    ) -> NewSession:
        """Sign in with a passkey alone: it verified its user, so it is both steps. Raises `WrongPasskey`."""
        challenge = await self._challenge(session, Purpose.SIGN_IN)
        async with self._database.begin() as work:
            shown = await self._passkeys.check(work, challenge, credential)
            account = await work.session.scalar(_locked(shown.account_id))
            if account is None:
                raise WrongPasskey
            return await self._enter(work, account, session, origin, kept=kept, passkey_since=shown.since)

    async def clean_up(self) -> None:
        """Delete a bounded number of what is over. The sweep calls this."""
        async with self._database.begin() as work:
            await work.write(challenges.CLEAN_UP, {})
            old = select(PendingSignIn.session_id).where(PendingSignIn.expires_at < func.now()).limit(1000)
            await work.session.execute(delete(PendingSignIn).where(PendingSignIn.session_id.in_(old)))

    async def _challenge(self, session: Session | None, purpose: Purpose) -> bytes | None:
        if session is None:
            return None
        async with self._database.begin() as work:  # committed before anything is checked: it is used up
            return await challenges.take(work, session.id, purpose)

    async def _try_code(
        self, work: UnitOfWork, session: Session | None, code: str, origin: Origin
    ) -> NewSession | AccountError:
        pending = await self._pending(work, session, locked=True)
        taken = await self._codes.take(work, pending.account.id, code)
        if type(taken) is WrongStepCode:
            mine = PendingSignIn.session_id == pending.row.session_id
            if pending.row.tries + 1 >= MOST_TRIES:
                await work.session.execute(delete(PendingSignIn).where(mine))
                await self._log.notify(work, pending.account, EventKind.SECOND_STEP_FAILED, origin)
                return TooManyStepTries()
            await work.session.execute(update(PendingSignIn).where(mine).values(tries=PendingSignIn.tries + 1))
            return taken
        if isinstance(taken, AccountError):
            return taken
        if taken is CodeKind.RECOVERY:
            await self._log.notify(work, pending.account, EventKind.RECOVERY_CODE_USED, origin)
        return await self._let_in(work, pending, session, origin)

    async def _pending(self, work: UnitOfWork, session: Session | None, *, locked: bool = False) -> _Pending:
        """Return the sign-in that waits in this browser, with its account as it was at the first step."""
        if session is None:
            raise NoPendingSignIn
        wanted = select(PendingSignIn).where(
            PendingSignIn.session_id == session.id, PendingSignIn.expires_at > func.now()
        )
        row = await work.session.scalar(wanted.with_for_update() if locked else wanted)
        account = await work.session.scalar(_locked(row.account_id)) if row else None
        if row is None or account is None or _mark(account.password_hash) != row.password_mark:
            raise NoPendingSignIn
        return _Pending(row, account)

    async def _let_in(
        self,
        work: UnitOfWork,
        pending: _Pending,
        session: Session | None,
        origin: Origin,
        *,
        passkey_since: datetime | None = None,
    ) -> NewSession:
        over = delete(PendingSignIn).where(PendingSignIn.session_id == pending.row.session_id)
        await work.session.execute(over)
        kept = pending.row.kept
        return await self._enter(work, pending.account, session, origin, kept=kept, passkey_since=passkey_since)

    async def _enter(
        self,
        work: UnitOfWork,
        account: Account,
        session: Session | None,
        origin: Origin,
        *,
        kept: bool,
        passkey_since: datetime | None = None,
    ) -> NewSession:
        await self._log.sign_in(work, account, origin)
        return await self._sessions.enter(
            work, account, session, origin.user_agent, kept=kept, passkey_since=passkey_since
        )


def _locked(account_id: UUID) -> Any:
    """Return the query that reads and locks an account: its password must not change before the sign-in ends."""
    return select(Account).where(Account.id == account_id).with_for_update(key_share=True)


def _mark(password_hash: str) -> bytes:
    return hashlib.sha256(password_hash.encode()).digest()
