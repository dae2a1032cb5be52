"""Failed sign-ins in a row make the next try wait, longer and longer: by address and client.

The limits of the web count tries (`web/rate_limits/limits.py`); these count failures, and are kept in PostgreSQL.
What one client does never makes another one wait, so nobody can lock an owner out. Only a client's own success
ends its delays.
The steps are the same whether or not an account has the address.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import InvalidAddress, SignInDelayed
from mailroom.kit.database import Database

FREE = 5
"""Failures in a row that cost no time: people mistype."""
LONGEST = timedelta(minutes=15)
MOST = 100
"""Failures in a row after which a client has to wait until they are forgotten (NIST SP 800-63B-4 §3.2.2)."""
FORGOTTEN = timedelta(days=1)
"""How long after the last failure they are forgotten."""
AT_ONCE = 5000

# A try is counted before the password is compared, so each of many simultaneous tries counts.
COUNTED = "case when known.failed_at < now() - %(forgotten)s then 1 else known.failures + 1 end"
TAKE = f"""
insert into sign_in_failures as known (key, failures, next_at) values (%(key)s, 1, now())
on conflict (key) do update set failures = {COUNTED}, failed_at = now(), next_at = now() + case
    when {COUNTED} >= %(most)s then %(forgotten)s
    when {COUNTED} <= %(free)s then interval '0'
    else least(power(2, {COUNTED} - %(free)s) * interval '1 second', %(longest)s) end
where known.next_at <= now()
returning failures
"""  # noqa: S608  # of our own words only
WAIT = "select extract(epoch from next_at - now())::float from sign_in_failures where key = %(key)s"
CLEAR = "delete from sign_in_failures where key = %(key)s"
FORGET = """
with old as materialized (
    select key from sign_in_failures where failed_at < now() - %(forgotten)s limit %(most)s
)
delete from sign_in_failures where key in (select key from old)
"""


class SignInDelays:
    """Counts failures, and makes those who failed wait."""

    def __init__(self, database: Database, secret_keys: Sequence[str]) -> None:
        self._database = database
        self._secret_key = secret_keys[0].encode()

    async def take(self, email: str, client: str) -> None:
        """Count a try of this client with this address as failed. Raises `SignInDelayed` if it has to wait.

        `client` is what limits count a client by: an IPv4 address, or the /64 of an IPv6 address.
        """
        key = self._key(email, client)
        values = {"key": key, "forgotten": FORGOTTEN, "most": MOST, "free": FREE, "longest": LONGEST}
        if await self._database.fetch(TAKE, values):
            return
        rows: list[Any] = await self._database.fetch(WAIT, {"key": key})
        if rows:
            raise SignInDelayed(max(1.0, rows[0][0]))

    async def clear(self, email: str, client: str) -> None:
        """Forget the failures of this client with this address: the password was right."""
        await self._database.fetch(CLEAR, {"key": self._key(email, client)})

    async def clean_up(self) -> None:
        """Delete a bounded number of failures that are forgotten. The sweep calls this."""
        await self._database.fetch(FORGET, {"forgotten": FORGOTTEN, "most": AT_ONCE})

    def _key(self, email: str, client: str) -> bytes:
        try:
            key = Address.parse(email).key
        except InvalidAddress:
            key = f" {email.strip()}"  # nobody's: no key has a space in it
        said = f"mailroom/accounts/sign-in failures {client} {key}".encode(errors="surrogatepass")
        return hmac.digest(self._secret_key, said, hashlib.sha256)
