"""The security history of an account: sign-ins and changes, each with the device and the address it came from.

Its owner is told of the important ones by mail. Each of these mails holds a link that says "this was not me"
(`accounts/changes/takeover.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select

from mailroom.accounts.browsers import described
from mailroom.accounts.models import Account, AccountEvent
from mailroom.accounts.views import Origin, reader_of
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.mail.outbox import Outbox

NOTICE = "security_notice"
"""The kind of mail that tells of an event."""
KEPT = timedelta(days=365)
AT_ONCE = 1000
"""Rows one clean-up deletes at most."""
SHOWN = 50
"""Events that a page shows."""

ADD = """
insert into account_events (id, account_id, kind, device, address, mail_id)
values (%(id)s, %(account_id)s, %(kind)s, %(device)s, %(address)s, %(mail_id)s)
"""
ADD_SIGN_IN = f"""
{ADD.rstrip()}
returning
    exists(select from account_events where account_id = %(account_id)s)
    and not exists(select from account_events where account_id = %(account_id)s and device = %(device)s)
"""  # noqa: S608  # of our own words only


TOLD = "update account_events set mail_id = %(mail_id)s where id = %(id)s"


class EventKind(StrEnum):
    """What happened."""

    SIGNED_UP = "signed_up"
    SIGNED_IN = "signed_in"
    NEW_DEVICE = "new_device"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # a name
    PASSWORD_RESET = "password_reset"  # noqa: S105
    SESSIONS_ENDED = "sessions_ended"
    ADDRESS_ASKED = "address_asked"
    ADDRESS_CHANGED = "address_changed"
    ADDRESS_TAKEN_BACK = "address_taken_back"
    SECURED = "secured"
    SESSION_ENDED = "session_ended"
    EXPORTED = "exported"
    APP_ADDED = "app_added"
    APP_REMOVED = "app_removed"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    CODES_MADE = "codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    SECOND_STEP_FAILED = "second_step_failed"
    TWO_STEPS_ON = "two_steps_on"
    TWO_STEPS_OFF = "two_steps_off"
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_UNLINKED = "identity_unlinked"
    DELETION_ASKED = "deletion_asked"
    DELETION_ORDERED = "deletion_ordered"
    """By an operator."""
    DELETION_UNDONE = "deletion_undone"


CHOSEN = frozenset({EventKind.SIGNED_IN, EventKind.SESSION_ENDED, EventKind.SESSIONS_ENDED, EventKind.EXPORTED})
"""Events whose mails are for the owner to choose. All others always cause one."""
USUAL = CHOSEN - {EventKind.SIGNED_IN}
"""Events of `CHOSEN` that cause a mail if the owner has chosen nothing."""


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """An event as its owner may see it: `device` in words, `address` the client's IP address if it is known."""

    kind: str
    device: str
    address: str | None
    at: datetime


class SecurityLog:
    """Records events, tells owners of them, and lists them."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def record(
        self, work: UnitOfWork, account_id: UUID, kind: EventKind, origin: Origin, *, mail_id: UUID | None = None
    ) -> None:
        """Write an event in `work`."""
        await work.write(ADD, _row(account_id, kind, origin, mail_id))

    async def notify(
        self,
        work: UnitOfWork,
        account: Account,
        kind: EventKind,
        origin: Origin,
        *,
        to: str | None = None,
        sites: str = "",
    ) -> UUID | None:
        """Write an event, and promise a mail that tells of it; return the mail's id.

        The mail goes to the address of the account, or `to` an earlier one. `sites` are accounts of other sites
        that the mail is to name. Returns None for an event of `CHOSEN` that the owner wants no mail of.
        """
        if kind in CHOSEN and kind not in (USUAL if account.notices is None else account.notices):
            await self.record(work, account.id, kind, origin)
            return None
        mail_id = await self._put(work, account, kind, origin, to=to, sites=sites)
        await self.record(work, account.id, kind, origin, mail_id=mail_id)
        return mail_id

    async def sign_in(self, work: UnitOfWork, account: Account, origin: Origin) -> None:
        """Record a sign-in. If the device is new, tell the owner by mail.

        A device is new if the account has events, and none of them is from a browser with the same name.
        """
        row = _row(account.id, EventKind.SIGNED_IN, origin, None)
        added: list[Any] = await work.fetch(ADD_SIGN_IN, row)
        if added[0][0]:
            await self.notify(work, account, EventKind.NEW_DEVICE, origin)
        elif account.notices and EventKind.SIGNED_IN in account.notices:
            mail_id = await self._put(work, account, EventKind.SIGNED_IN, origin)
            await work.write(TOLD, {"id": row["id"], "mail_id": mail_id})

    async def _put(
        self,
        work: UnitOfWork,
        account: Account,
        kind: EventKind,
        origin: Origin,
        *,
        to: str | None = None,
        sites: str = "",
    ) -> UUID:
        params = {"event": str(kind), "browser": described(origin.user_agent)}
        if sites:
            params["sites"] = sites
        reader = reader_of(account)
        return await self._outbox.put(
            work, NOTICE, to or account.email, params, owner_id=account.id, reader=reader
        )

    async def of_account(self, account_id: UUID) -> Sequence[SecurityEvent]:
        """Return the newest events of an account, newest first."""
        rows = (
            select(AccountEvent)
            .where(AccountEvent.account_id == account_id)
            .order_by(AccountEvent.id.desc())
            .limit(SHOWN)
        )
        async with self._database.begin() as work:
            found = (await work.session.scalars(rows)).all()
        return [SecurityEvent(one.kind, one.device, one.address, one.created_at) for one in found]

    async def clean_up(self) -> None:
        """Delete a bounded number of old events. The sweep calls this."""
        old = select(AccountEvent.id).where(AccountEvent.created_at < func.now() - KEPT).limit(AT_ONCE)
        async with self._database.begin() as work:
            await work.session.execute(delete(AccountEvent).where(AccountEvent.id.in_(old)))


def _row(account_id: UUID, kind: EventKind, origin: Origin, mail_id: UUID | None) -> dict[str, object]:
    return {
        "id": new_id(),
        "account_id": account_id,
        "kind": str(kind),
        "device": described(origin.user_agent),
        "address": origin.address,
        "mail_id": mail_id,
    }
