"""What operators do with accounts, on the desk, in the shell and over the API. Each act is in the audit log."""

from collections.abc import Mapping
from uuid import UUID

from mailroom.accounts.administration import AccountAdministration
from mailroom.accounts.changes.password_reset import PasswordReset
from mailroom.accounts.errors import AlreadyConfirmed, UnknownSignUp
from mailroom.accounts.models import Account, SignUp
from mailroom.accounts.operators import GrantedRole, Operators, check_another
from mailroom.accounts.sign_up.registration import Registration
from mailroom.accounts.two_factor.owner import lock_account
from mailroom.accounts.views import Session
from mailroom.desk.audit_log import Actor, AuditLog
from mailroom.kit.database import Database, UnitOfWork


class People:
    """Locks and unlocks accounts, gives roles, and sends mails again. `Deletion` deletes accounts."""

    def __init__(
        self,
        database: Database,
        administration: AccountAdministration,
        operators: Operators,
        *,
        password_reset: PasswordReset,
        registration: Registration,
        audit_log: AuditLog,
    ) -> None:
        self._database = database
        self._administration = administration
        self._operators = operators
        self._password_reset = password_reset
        self._registration = registration
        self._audit_log = audit_log

    async def lock(self, account_id: UUID, actor: Actor) -> bool:
        """Lock an account and end its sessions; False if it was locked.

        Raises `UnknownAccount`, `LastOperator`.
        """
        async with self._database.begin() as work:
            await _check_another(work, await lock_account(work, Account.id == account_id), actor)
            changed = await self._administration.lock(work, account_id)
            await self._note(work, actor, "account.locked", account_id)
        return changed

    async def unlock(self, account_id: UUID, actor: Actor) -> bool:
        """Unlock an account; False if it was not locked. Raises `UnknownAccount`."""
        async with self._database.begin() as work:
            changed = await self._administration.unlock(work, account_id)
            await self._note(work, actor, "account.unlocked", account_id)
        return changed

    async def send_new_password(self, account_id: UUID, actor: Actor, session: Session | None = None) -> UUID:
        """Send the owner a link to a new password; return the mail's id. Raises `UnknownAccount`.

        `session` is the operator's browser, which may watch the mail.
        """
        async with self._database.begin() as work:
            row = await self._administration.get(work, account_id)
            mail_id = await self._password_reset.send_link(work, row, session)
            await self._note(work, actor, "account.reset_sent", account_id)
        return mail_id

    async def set_role(self, account_id: UUID, role: GrantedRole | None, actor: Actor) -> None:
        """Give an account a role, or with None take it away. Raises `UnknownAccount`, `LastOperator`."""
        async with self._database.begin() as work:
            row = await lock_account(work, Account.id == account_id)
            if role != "operator":
                await _check_another(work, row, actor)
            if role:
                await self._operators.grant(work, row.email, role)
                await self._note(work, actor, "role.granted", account_id, {"role": role})
            else:
                await self._operators.revoke(work, row.email)
                await self._note(work, actor, "role.revoked", account_id)

    async def resend(self, sign_up_id: UUID, actor: Actor) -> UUID:
        """Send the mail of an open sign-up again; return its id.

        The limits are the same as for its owner. Raises `UnknownSignUp` (also if it has ended), `TooSoon`.
        """
        async with self._database.begin() as work:
            row = await work.session.get(SignUp, sign_up_id)
        if row is None or row.session_id is None:
            raise UnknownSignUp
        browser = Session(row.session_id, None, row.created_at, "", row.created_at)
        try:
            mail_id = await self._registration.resend(ticket=row.mail_id, session=browser)
        except AlreadyConfirmed:
            raise UnknownSignUp from None
        async with self._database.begin() as work:
            await self._audit_log.write(
                work, actor, "sign_up.mailed", target="mail", target_id=mail_id, details={"to": row.email}
            )
        return mail_id

    async def _note(
        self,
        work: UnitOfWork,
        actor: Actor,
        action: str,
        account_id: UUID,
        details: Mapping[str, str] | None = None,
    ) -> None:
        await self._audit_log.write(work, actor, action, target="account", target_id=account_id, details=details)


async def _check_another(work: UnitOfWork, account: Account, actor: Actor) -> None:
    """Raise `LastOperator` for the last operator, unless in the shell, which can make another at any time."""
    if actor.kind != "shell":
        await check_another(work, account)
