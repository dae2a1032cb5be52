"""A database restored while mails were in flight: no worker starts before somebody has said since when."""

import asyncio
from contextlib import closing

from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.ops.database_witness import RedisWitness
from mailroom.ops.doctor.findings import Finding, broken
from mailroom.ops.restored import refusal
from mailroom.settings import Settings

CHECK = gettext_noop("restore")


async def check(settings: Settings) -> list[Finding]:
    """Return a finding only if there is something to do."""
    with closing(RedisWitness(settings)) as witness:
        refused = await asyncio.to_thread(refusal, settings.session_database_url, witness)
    if refused is None:
        return []
    words = gettext("the database was restored from a backup, and mails that wait in it may have gone out since")
    advice = gettext("Stop all workers, then run `mailroom restored --from TIME`.")
    return [broken(CHECK, words, advice)]
