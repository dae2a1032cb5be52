"""How long sign-ups and sessions are kept after they have ended."""

from datetime import timedelta

from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_up import sign_ups
from mailroom.kit.database import Database

LONGEST_DELIVERY = timedelta(days=3)
"""A mail may be on its way for this long before the time of its link begins (it expires after 48 hours)."""


class AccountRetention:
    """Deletes the rows of sessions and sign-ups that have ended.

    A sign-up that waits is kept for `days` at least, so that a late click gets a fitting answer.
    """

    def __init__(self, database: Database, sessions: Sessions, *, confirmation_hours: int, days: int) -> None:
        self._database = database
        self._sessions = sessions
        self._kept = max(timedelta(days=days), timedelta(hours=confirmation_hours) + LONGEST_DELIVERY)

    async def clean_up(self) -> None:
        """Delete a bounded number of ended sessions and unconfirmed sign-ups. The sweep calls this."""
        async with self._database.begin() as work:
            await self._sessions.purge(work)
            await sign_ups.purge(work, older_than=self._kept)
