"""Acts on one worker, mail, task or invitation, for desk, API and shell: each is noted in the audit log."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from mailroom.accounts.sign_up.invitations import Invitations, InvitationView
from mailroom.desk.audit_log import Actor, AuditLog
from mailroom.desk.processes.readings import ask
from mailroom.kit.database import Database, UnitOfWork


class Acts:
    """Does what operators ask for, with its entry in the audit log. `People` acts on accounts and sign-ups."""

    def __init__(self, database: Database, audit_log: AuditLog, invitations: Invitations) -> None:
        self._database = database
        self._audit_log = audit_log
        self._invitations = invitations

    async def ask_worker(self, actor: Actor, name: str, wish: str | None) -> bool:
        """Ask a worker to ``drain`` or ``stop``, or with None to go on; False if there is none of this name."""
        async with self._database.begin() as work:
            if not await ask(work, name, wish):
                return False
            action = f"worker.{wish or 'resume'}"
            await self._audit_log.write(work, actor, action, target="worker", target_id=name)
        return True

    async def act_on(
        self,
        actor: Actor,
        action: str,
        act: Callable[[UnitOfWork, UUID], Awaitable[UUID | None]],
        ticket: UUID,
    ) -> UUID | None:
        """Do `act` to a mail or task; return the id of the copy if it makes one. Raises what `act` raises.

        `action` is the code for the audit log: ``mail.retried``, ``task.cancelled``.
        """
        async with self._database.begin() as work:
            copy = await act(work, ticket)
            await self.note(work, actor, action, ticket, copy)
        return copy

    async def note(
        self, work: UnitOfWork, actor: Actor, action: str, ticket: UUID, copy: UUID | None = None
    ) -> None:
        """Note what was done to a mail or task in the audit log; `action` as in `act_on`."""
        target, details = action.partition(".")[0], {"copy": str(copy)} if copy else {}
        await self._audit_log.write(work, actor, action, target=target, target_id=ticket, details=details)

    async def invite(
        self, actor: Actor, address: str, *, bound: bool, inviter_id: UUID | None = None
    ) -> InvitationView:
        """Invite somebody by mail. Raises as `Invitations.create` does."""
        async with self._database.begin() as work:
            made = await self._invitations.create(work, address, bound=bound, inviter_id=inviter_id)
            await self._audit_log.write(work, actor, "invitation.created", target="invitation", target_id=made.id)
        return made

    async def revoke_invitation(self, actor: Actor, invitation_id: UUID) -> str:
        """Take an invitation back; return its address. Raises `UnknownInvitation`."""
        async with self._database.begin() as work:
            email = await self._invitations.revoke(work, invitation_id)
            await self._audit_log.write(
                work, actor, "invitation.revoked", target="invitation", target_id=invitation_id
            )
        return email
