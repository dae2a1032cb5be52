"""Why mails fail, for the alert about failures: what most of the newest failed mails have in common."""

from collections.abc import Mapping
from typing import Any

from mailroom.kit.database import PlainWork
from mailroom.mail.states import message_code

LOOKED_AT = 500
# Uses the index on state and time.
MAIN = """
with newest as materialized (
    select reason, code, coalesce(enhanced, '') as enhanced from mails
    where state = 'failed' and created_at > now() - interval '1 day' order by created_at desc limit %(looked)s
)
select reason, code, enhanced, count(*), sum(count(*)) over () from newest where reason is not null
group by 1, 2, 3 order by 4 desc limit 1
"""


async def main_cause(work: PlainWork) -> Mapping[str, Any]:
    """Return why most of the newest failed mails failed, as parameters of the alert's sentence; empty: unknown."""
    rows: list[Any] = await work.fetch(MAIN, {"looked": LOOKED_AT})
    if not rows:
        return {}
    reason, code, enhanced, count, looked = rows[0]
    codes = " ".join(str(part) for part in (code, enhanced) if part)
    return {"cause": message_code(reason), "codes": codes, "of_cause": count, "looked": int(looked)}
