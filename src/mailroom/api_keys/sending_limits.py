"""How many mails may go out in a period: for a key, to a receiving domain, and to the mail server in all.

A mail over a limit is not refused: it waits its turn. The limits are the generic cell rate algorithm (ITU-T
I.371). For each limit, a row holds the moment at which all of it is free again. A message that is handed in moves
this moment on by period/count for each mail (a period is a minute, an hour or a day). It may go once the moment is
at most a period ahead. The row is written in the transaction of the mails.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mailroom.api_keys.keys import Key
from mailroom.kit.database import PlainWork
from mailroom.kit.domain_names import to_ascii

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FORGET = "delete from sending_limits where free_at < now() - interval '1 day'"

# Rows in the order of their names, so that two requests never wait for each other.
MOVE = """
insert into sending_limits (name, free_at)
select name, now() + steps from unnest(%(names)s::text[], %(steps)s::interval[]) as given (name, steps)
order by name
on conflict (name) do update
set free_at = greatest(sending_limits.free_at, now()) + (excluded.free_at - now())
returning name, free_at, now()
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` mails in `period`. At first, all of them may go at once."""

    name: str
    count: int
    period: timedelta

    @property
    def step(self) -> timedelta:
        """The time by which one mail moves the moment on."""
        return self.period / self.count


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """The limits of the whole installation: mails a minute to the mail server, and by receiving domain."""

    per_minute: int | None = None
    domains: Mapping[str, int] = field(default_factory=dict)

    async def turns(
        self, work: PlainWork, key: Key, messages: Sequence[Sequence[str]]
    ) -> list[datetime | None] | None:
        """Return for each message (its recipients) when it may go. None, or None for a message, means at once.

        Counts the messages in `work`: if `work` is rolled back, they do not count.
        """
        taken = [self._limits(key, recipients) for recipients in messages]
        together: Counter[Limit] = Counter()
        for limits in taken:
            together.update(limits)
        if not together:
            return None
        rows: list[Any] = await work.fetch(
            MOVE,
            {
                "names": [limit.name for limit in together],
                "steps": [limit.step * count for limit, count in together.items()],
            },
        )
        free_at = {name: moment for name, moment, _ in rows}
        now: datetime = rows[0][2]
        at = {limit: free_at[limit.name] - limit.step * count for limit, count in together.items()}
        turns: list[datetime | None] = []
        for limits in taken:
            due = now
            for limit, count in limits.items():
                at[limit] += limit.step * count
                due = max(due, at[limit] - limit.period)
            turns.append(due if due > now else None)
        return turns

    def hold(self, key: Key) -> bool:
        """Tell whether any limit may apply to what this key sends."""
        if key.per_minute or key.per_hour or key.per_day:
            return True
        return not key.test and bool(self.per_minute or self.domains)

    def _limits(self, key: Key, recipients: Sequence[str]) -> Counter[Limit]:
        """Return each limit that these recipients count in, and how often."""
        limits: Counter[Limit] = Counter()
        for limit in _limits_of(key):
            limits[limit] += len(recipients)
        if key.test:
            return limits
        if self.per_minute:
            limits[Limit("upstream", self.per_minute, MINUTE)] += len(recipients)
        for domain in _domains(recipients) if self.domains else ():
            if most := self.domains.get(domain):
                limits[Limit(f"domain {domain}", most, MINUTE)] += 1
        return limits


def _limits_of(key: Key) -> Iterable[Limit]:
    for count, period, name in (
        (key.per_minute, MINUTE, "minute"),
        (key.per_hour, HOUR, "hour"),
        (key.per_day, DAY, "day"),
    ):
        if count:
            yield Limit(f"key {key.id} {name}", count, period)


def _domains(recipients: Sequence[str]) -> Iterable[str]:
    for recipient in recipients:
        yield to_ascii(recipient.rpartition("@")[2])
