"""What went through each API key lately: its mails of the last 24 hours, by state."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailroom.kit import clock
from mailroom.kit.database import PlainWork
from mailroom.kit.ids import first_id

LATELY = timedelta(hours=24)

# By the index on (key_id, id): ids rise with time, so only what is counted is read.
COUNT = """
select message.key_id, mail.state, count(*)
from messages message join mails mail on mail.message_id = message.id
where message.key_id = any(%(keys)s::uuid[]) and message.id >= %(since)s
group by message.key_id, mail.state
order by count(*) desc, mail.state
"""


async def key_traffic(work: PlainWork, keys: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
    """Return how many mails each of these keys handed in within `LATELY`, by state; the most frequent first."""
    rows: list[Any] = await work.fetch(COUNT, {"keys": list(keys), "since": first_id(clock.now() - LATELY)})
    found: dict[UUID, dict[str, int]] = defaultdict(dict)
    for key, state, count in rows:
        found[key][state] = count
    return found
