"""Ending sessions of one's own account: the history records it, and the owner is told."""

from uuid import UUID

from mailroom.accounts.models import Account
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.views import Origin, Session
from mailroom.kit.database import Database


class SessionEndings:
    """Lets members sign other browsers out."""

    def __init__(self, database: Database, sessions: Sessions, log: SecurityLog) -> None:
        self._database = database
        self._sessions = sessions
        self._log = log

    async def end(self, session: Session, ended: UUID, origin: Origin) -> None:
        """End another session of the account of `session`; of nobody else's."""
        if session.account is None:
            return
        async with self._database.begin() as work:
            account = await work.session.get(Account, session.account.id)
            if account and await self._sessions.revoke_in(work, account.id, ended):
                await self._log.notify(work, account, EventKind.SESSION_ENDED, origin)

    async def end_others(self, session: Session, origin: Origin) -> None:
        """End every other session of the account of `session`."""
        if session.account is None:
            return
        async with self._database.begin() as work:
            account = await work.session.get(Account, session.account.id)
            if account:
                await self._sessions.revoke_others(work, account.id, but=session.id)
                await self._log.notify(work, account, EventKind.SESSIONS_ENDED, origin)
