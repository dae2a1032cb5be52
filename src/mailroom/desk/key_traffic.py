"""What went through each API key lately: the mails of its newest messages of the last 24 hours, by state."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailroom.kit import clock
from mailroom.kit.database import PlainWork
from mailroom.kit.ids import first_id

LATELY = timedelta(hours=24)
MOST = 4_000
"""Messages that are looked at for all keys of a page together: the page costs the same however much they send."""

# Uses the indexes on (key_id, id) and message_id; only the newest messages of each key are read.
COUNT = """
select key.id, mail.state, count(*)
from unnest(%(keys)s::uuid[]) as key (id) cross join lateral (
    select id from messages where key_id = key.id and id >= %(since)s order by id desc limit %(most)s
) as newest join lateral (
    select state from mails where message_id = newest.id limit 50
) as mail on true
group by 1, 2 order by 3 desc, 2
"""
REACHED = """
select key.id from unnest(%(keys)s::uuid[]) as key (id)
where exists (
    select from messages where key_id = key.id and id >= %(since)s order by id desc offset %(most)s limit 1)
"""


@dataclass(slots=True)
class KeyTraffic:
    """The mails of a key's newest messages, by state; `newest` is how many messages those are, None for all."""

    states: Counter[str] = field(default_factory=Counter)
    newest: int | None = None


async def key_traffic(work: PlainWork, keys: Sequence[UUID]) -> Mapping[UUID, KeyTraffic]:
    """Return the traffic of these keys within `LATELY`, by the newest messages of each."""
    found: dict[UUID, KeyTraffic] = defaultdict(KeyTraffic)
    most = MOST // max(4, len(keys)) or 1
    wanted = {"keys": list(keys), "since": first_id(clock.now() - LATELY), "most": most}
    rows: list[Any] = await work.fetch(COUNT, wanted)
    for key, state, count in rows:
        found[key].states[state] = count
    for (key,) in await work.fetch(REACHED, wanted):
        found[key].newest = most
    return found
