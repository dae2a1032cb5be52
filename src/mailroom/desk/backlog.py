"""Waiting mails: their number, counted up to 10,000, and the oldest. Only indexes are read for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailroom.kit.database import PlainWork

MOST = 10_000
"""Counts stop here: more than that is "more than 10,000"."""
LOOKED_AT = 500

# A mail that a person queued again was put long ago; it waits since `changed_at`. Bulk mails may wait for hours,
# and their rows are not published; if many of them wait, the transactional ones are found by `nudge_at`, which
# the sweep moves on.
COUNTS = """
select
    (select count(*) from (select from mails where state = 'queued' limit %(most)s) as n) as queued,
    (select count(*) from (select from mails where state = 'retrying' limit %(most)s) as n) as retrying,
    (select count(*) from (select from mails where state = 'scheduled' limit %(most)s) as n) as scheduled,
    (select count(*) from (select from mails where state = 'sending' limit %(most)s) as n) as sending,
    (select count(*) from (
        select from mails where state = 'uncertain' and on_uncertain = 'hold' limit %(most)s) as n) as held
"""
OLDEST = """
select stream, min(changed_at) from (
    (select stream, changed_at from (
        select stream, changed_at from mails where state = 'queued' order by created_at limit %(looked)s) as first)
    union all
    (select stream, changed_at from (
        select stream, state, changed_at from mails
        where nudge_at > now() - interval '10 s' and nudge_at < now() + interval '310 s'
        order by nudge_at limit %(looked)s
    ) as nudged where state = 'queued' and stream = 'transactional')
) as waiting group by 1
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many mails wait (at most `MOST` + 1), and since when the oldest of each stream has waited."""

    queued: int
    retrying: int
    scheduled: int
    sending: int
    held: int
    oldest: datetime | None = None
    """Since when the oldest transactional mail that could be sent at once has waited."""
    oldest_bulk: datetime | None = None

    @property
    def waiting(self) -> int:
        """Mails that are to be sent now or soon."""
        return self.queued + self.retrying


async def backlog(work: PlainWork) -> Backlog:
    """Return what waits."""
    rows: list[Any] = await work.fetch(COUNTS, {"most": MOST + 1})
    oldest: dict[str, datetime] = dict(await work.fetch(OLDEST, {"looked": LOOKED_AT}))
    queued, retrying, scheduled, sending, held = rows[0]
    return Backlog(queued, retrying, scheduled, sending, held, oldest.get("transactional"), oldest.get("bulk"))
