"""How many mails strangers can cause: to one mailbox, and to all together.

No form mentions these limits: an answer that depends on them would show what the owner of an address does. A mail
over the limit of its mailbox is withheld: it has a row, a ticket and every stage, but the mail server gets no
content. The newest mail that was sent is valid for longer instead (`renewed_at`).
"""

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mailroom.kit.database import Database

logger = logging.getLogger(__name__)

OWNERS_HOURLY = 5
"""Mails an hour to a mailbox if the address has an account."""
HOURLY, DAILY = 3, 5
"""Mails an hour, and a day, if the address has no account: nobody there has asked for our mails."""

SENT = """
select count(*) filter (where created_at > now() - interval '1 hour') as last_hour, count(*) as last_day,
    exists(select from held_addresses where mailbox_key = %(mailbox_key)s and until > now()) as is_held
from (
    select created_at from sign_up_mails
    where mailbox_key = %(mailbox_key)s and not withheld and created_at > now() - interval '1 day'
    union all
    select created_at from password_mails
    where mailbox_key = %(mailbox_key)s and not withheld and created_at > now() - interval '1 day'
) as sent
"""
"""Mails that forms sent to a mailbox within the last hour and the last day, and whether it wants none."""

REFRESH = 5.0
"""Seconds for which a process trusts its count of all mails."""
WARN_EVERY = 60.0
COUNT_ALL = """
select count(*) from (
    select 1 from (
        select created_at from sign_up_mails where created_at > now() - interval '1 hour'
        union all
        select created_at from password_mails where created_at > now() - interval '1 hour'
    ) as sent limit %(most)s
) as counted
"""
TAKE_SLOT = """
insert into form_mail_slots as slots (id, next_at) values (1, now() + %(step)s)
on conflict (id) do update set next_at = greatest(slots.next_at, now()) + %(step)s
returning next_at - now()
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """How many mails forms sent to a mailbox."""

    last_hour: int
    last_day: int
    is_held: bool = False
    """True if the owner has said of a sign-up: this was not me (`accounts/sign_up/withdrawal.py`)."""


def is_over(sent: Sent, *, has_account: bool, is_variant: bool, is_notice: bool) -> bool:
    """Tell whether one mail more is over the limit of its mailbox.

    Two kinds of mail leave the last place free for others, so that no stranger can keep the owner out: `is_notice`
    mails, which give access to nothing, and mails to a variant of the mailbox's address (a tag), which are of no
    use to the owner of the plain address.
    """
    kept_free = is_notice + (is_variant and not has_account)
    if has_account:
        return sent.last_hour >= OWNERS_HOURLY - kept_free
    return sent.is_held or sent.last_hour >= HOURLY - kept_free or sent.last_day >= DAILY - kept_free


class FormMailQueue:
    """Lets forms cause at most `hourly` mails an hour, for all clients and addresses together; 0: any number.

    Mails over that are sent later, one by one. Each process has its own count, which it reads from PostgreSQL
    every few seconds.
    """

    def __init__(self, database: Database, *, hourly: int) -> None:
        self._database = database
        self._hourly = hourly
        self._counted_at = -REFRESH
        self._warned_at = -WARN_EVERY
        self._count = 0

    async def delay(self) -> timedelta:
        """Take a place in the queue; return how long the mail has to wait, which is usually zero."""
        if not self._hourly:
            return timedelta(0)
        now = time.monotonic()
        if now - self._counted_at >= REFRESH:
            self._counted_at = now
            rows: list[Any] = await self._database.fetch(COUNT_ALL, {"most": self._hourly})
            self._count = rows[0][0]
        self._count += 1
        if self._count <= self._hourly:
            return timedelta(0)
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            logger.warning("more than %d mails an hour are asked for by forms: further ones wait", self._hourly)
        step = timedelta(hours=1) / self._hourly
        taken: list[Any] = await self._database.fetch(TAKE_SLOT, {"step": step})
        delay: timedelta = taken[0][0]
        return delay
