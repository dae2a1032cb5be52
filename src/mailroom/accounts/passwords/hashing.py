"""Passwords at rest: Argon2id, off the event loop, on no more threads than there are cores.

New passwords and known ones wait in separate lanes, so many sign-ups at once keep nobody from signing in. Raises
`Overloaded` if a computation would have to wait for longer than two seconds.
"""

import base64
import hmac
import logging
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager

import argon2
from argon2.low_level import hash_secret

from mailroom.accounts.errors import WeakPassword
from mailroom.accounts.passwords import rules as password_rules
from mailroom.accounts.passwords.blocklist import Blocklist
from mailroom.kit.work_lanes import WorkLanes
from mailroom.progress.sentence import Sentence
from mailroom.settings.cores import usable_cores

logger = logging.getLogger(__name__)

SALT_BYTES = 16
NO_PASSWORD = bytes(15)
"""How the digest begins if there is no password. A password's digest begins so with a probability of 2**-120."""
NEW, KNOWN = "new", "known"
"""The lanes: passwords that are chosen, and passwords that are compared."""
MEMORY_KIB = 19_456
"""KiB that Argon2 fills for each password."""


class Passwords:
    """Checks, hashes and compares passwords.

    The defaults are OWASP's: 19 MiB, 2 passes, 1 lane. `threads` decides both speed and memory use. No new
    password may be in the `blocklist`.
    """

    def __init__(
        self,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = 2,
        lanes: int = 1,
        threads: int = 0,
        blocklist: Blocklist | None = None,
    ) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=lanes, salt_len=SALT_BYTES
        )
        self._lanes = WorkLanes([NEW, KNOWN], threads=threads or usable_cores(), name="passwords")
        self._nobodys = self._made_up()
        self._blocklist = blocklist

    async def hash(self, password: str, *, context: Collection[str] | None = None, like: str | None = None) -> str:
        """Return the hash to store, in PHC form.

        A new password has a `context`: words that it must not be made of. It is checked first; raises
        `WeakPassword` or `TooLong` with the reason in words.
        The hash gets the salt of the hash `like` (of the same address), so that one computation compares a
        password with both; two equal passwords of that one address then have equal hashes. This holds even if
        `like` is outdated: once its owner has signed in, both have today's parameters.
        """
        salt = _salt(like) if like else b""
        if len(salt) != SALT_BYTES:
            salt = os.urandom(SALT_BYTES)
        lane = KNOWN if context is None else NEW
        return await self._run(lane, self._hashed, password, context, salt)

    async def check(self, password: str, context: Collection[str]) -> None:
        """Check a new password as `hash` does, without making a hash. Raises `WeakPassword` or `TooLong`."""
        await self._lanes.run(NEW, self._check, password, context)

    async def match(self, password: str, hashes: Sequence[str | None]) -> list[bool]:
        """Tell for each hash whether it is of this password; None never is.

        This takes one computation of Argon2 for hashes of one salt and the same parameters, and one if there is no
        hash at all, so the time does not show whether there is an account. An outdated hash is computed with the
        parameters it was made with, in the time those take.
        """
        by_start = {_start(known): known for known in hashes if known} or {_start(self._nobodys): self._nobodys}
        made = {start: await self._run(KNOWN, _computed, password, known) for start, known in by_start.items()}
        return [known is not None and hmac.compare_digest(made[_start(known)], known) for known in hashes]

    def outdated(self, known: str) -> bool:
        """Tell whether a hash was made with other parameters than today's, and should be made anew."""
        return self._hasher.check_needs_rehash(known)

    def useless(self, like: str | None = None) -> str:
        """Return a hash that no password has: it keeps an account shut until a new password is chosen.

        `is_useless` recognises it. It gets the salt of the hash `like`, as in `hash`.
        """
        return self._made_up(salt=_salt(like) if like else b"", begin=NO_PASSWORD)

    def close(self) -> None:
        """End the threads once they have finished what they do."""
        self._lanes.close()

    def _hashed(self, password: str, context: Collection[str] | None, salt: bytes) -> str:
        if context is not None:
            self._check(password, context)
        return self._hasher.hash(_secret(password), salt=salt)

    def _check(self, password: str, context: Collection[str]) -> None:
        password_rules.check(password, context)
        if self._blocklist is None:
            return
        leaked, trouble = False, None
        try:
            leaked = any(map(self._blocklist.holds, {password, password_rules.normalized(password)}))
        except OSError as error:
            trouble = error.strerror
        if trouble:
            logger.error("PASSWORD_BLOCKLIST cannot be read, so new passwords pass without it: %s", trouble)
        if leaked:
            raise WeakPassword(Sentence("password.leaked"))

    def place(self, lane: str) -> AbstractContextManager[None]:
        """Keep a place in a lane (`NEW`, `KNOWN`) while the database is asked for what `hash` or `match` need.

        Raises `Overloaded` if they would raise it.
        """
        return self._lanes.place(lane)

    async def _run(self, lane: str, call: Callable[..., str], *arguments: object) -> str:
        return await self._lanes.run(lane, call, *arguments)

    def _made_up(self, *, salt: bytes = b"", begin: bytes = b"") -> str:
        """Return a hash of today's parameters that no password has: random after its `begin`, never computed."""
        of = self._hasher
        if len(salt) != SALT_BYTES:
            salt = os.urandom(SALT_BYTES)
        digest = begin + os.urandom(of.hash_len - len(begin))
        end = "$".join(base64.b64encode(part).decode().rstrip("=") for part in (salt, digest))
        return f"$argon2id$v=19$m={of.memory_cost},t={of.time_cost},p={of.parallelism}${end}"


def is_useless(known: str) -> bool:
    """Tell whether this is a hash that no password has, because its owner has none."""
    return known.rpartition("$")[2].startswith(base64.b64encode(NO_PASSWORD).decode())


def _start(known: str) -> str:
    """Return a hash without its digest: the parameters and the salt."""
    return known.rpartition("$")[0]


def _salt(known: str) -> bytes:
    salt = known.split("$")[4]
    return base64.b64decode(salt + "=" * (-len(salt) % 4))


def _secret(password: str) -> bytes:
    return password_rules.normalized(password).encode(errors="surrogatepass")


def _computed(password: str, known: str) -> str:
    """Return the hash of `password` under the parameters and the salt of `known`."""
    of = argon2.extract_parameters(known)
    return hash_secret(
        _secret(password),
        _salt(known),
        time_cost=of.time_cost,
        memory_cost=of.memory_cost,
        parallelism=of.parallelism,
        hash_len=of.hash_len,
        type=of.type,
        version=of.version,
    ).decode()
