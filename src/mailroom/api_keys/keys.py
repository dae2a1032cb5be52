"""API keys: made, found, listed, revoked."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from urllib.parse import urlsplit
from uuid import UUID

from psycopg.rows import class_row
from sqlalchemy import select, update

from mailroom.api_keys.errors import ForbiddenSender, InvalidKey, InvalidKeyRequest, UnknownKey
from mailroom.api_keys.models import ApiKey
from mailroom.api_keys.secret import hash_of, looks_right, new_secret, start_of
from mailroom.kit import clock
from mailroom.kit.coalescer import Coalescer
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.domain_names import to_ascii
from mailroom.kit.ids import new_id

Scope = Literal["sending", "full", "read"]
SCOPES: tuple[str, ...] = get_args(Scope)
LONGEST_NAME = 50
MOST_ORIGINS = 20
HIGHEST_LIMIT = 2**31 - 1
"""What a column of type integer holds."""
TOUCH_EVERY = timedelta(minutes=1)
"""How often `last_used_at` is written at most."""
STANDS_FOR = 1.0
"""Seconds that a key of an open connection counts as valid without a new look; revoking takes that much longer."""
DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

FIND = """
select id, name, scope, domains, origins, test, owner_id, per_minute, per_hour, per_day, last_used_at, hash
from api_keys
where hash = any(%(hashes)s::bytea[]) and revoked_at is null and (expires_at is null or expires_at > now())
"""
KNOWN = "select id from api_keys where hash = %(hash)s"
TOUCH = """
update api_keys set last_used_at = now()
where id = %(id)s and (last_used_at is null or last_used_at < now() - %(every)s)
"""
STANDING = """
select id from api_keys
where id = any(%(ids)s::uuid[]) and revoked_at is null and (expires_at is null or expires_at > now())
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A valid key: whose it is, and what it may do."""

    id: UUID
    name: str
    scope: str
    domains: Sequence[str]
    origins: Sequence[str]
    test: bool
    owner_id: UUID | None
    per_minute: int | None
    per_hour: int | None
    per_day: int | None
    last_used_at: datetime | None
    hash: bytes

    @property
    def may_send(self) -> bool:
        """True for the scopes that send."""
        return self.scope in {"sending", "full"}

    @property
    def sees_only_its_own(self) -> bool:
        """True if other keys' mails are hidden from it: scope `sending`, bound to domains, or a test key."""
        return self.scope == "sending" or bool(self.domains) or self.test


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A key to be made; `domains` in ASCII, `origins` as browsers send them."""

    name: str
    scope: str = "full"
    domains: Sequence[str] = ()
    origins: Sequence[str] = ()
    test: bool = False
    expires_at: datetime | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None

    def check(self) -> None:
        """Raise `InvalidKeyRequest` for the first thing that is wrong."""
        if not self.name.strip() or len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise InvalidKeyRequest("name", f"A name has 1 to {LONGEST_NAME} printable characters.")
        if self.scope not in SCOPES:
            raise InvalidKeyRequest("scope", f"A scope is one of {', '.join(SCOPES)}.")
        for domain in self.domains:
            if not DOMAIN.fullmatch(domain):
                raise InvalidKeyRequest("domains", "A domain looks like example.org.")
        if len(self.origins) > MOST_ORIGINS or not all(map(is_origin, self.origins)):
            raise InvalidKeyRequest("origins", "An origin looks like https://shop.example.org, without a path.")
        for name in ("per_minute", "per_hour", "per_day"):
            limit = getattr(self, name)
            if limit is not None and not 1 <= limit <= HIGHEST_LIMIT:
                raise InvalidKeyRequest(name, f"A limit is a number from 1 to {HIGHEST_LIMIT}.")


def is_origin(text: str) -> bool:
    """Tell whether this is an Origin as browsers send it (RFC 6454 §6.2), of http or https."""
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and text == f"{parts.scheme}://{parts.netloc}"
        and parts.netloc in {f"{parts.hostname}{port}", f"[{parts.hostname}]{port}"}
    )


class ApiKeys:
    """The table of keys."""

    def __init__(self, database: Database, *, default_domain: str) -> None:
        """`default_domain` (ASCII) is MAIL_FROM's domain: a key without domains may send From its addresses."""
        self._database = database
        self._default_domain = default_domain
        self._finding = Coalescer(self._find)
        self._checking = Coalescer(self._check)
        self._stood_at: dict[UUID, float] = {}

    async def create(
        self, work: UnitOfWork, request: KeyRequest, *, owner_id: UUID | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key; return its row, and the key itself, which is shown only now. Raises `InvalidKeyRequest`."""
        request.check()
        secret = new_secret()
        row = ApiKey(
            id=new_id(),
            name=request.name.strip(),
            start=start_of(secret),
            hash=hash_of(secret),
            scope=request.scope,
            domains=list(dict.fromkeys(request.domains)),
            origins=list(dict.fromkeys(request.origins)),
            test=request.test,
            owner_id=owner_id,
            per_minute=request.per_minute,
            per_hour=request.per_hour,
            per_day=request.per_day,
            expires_at=request.expires_at,
            created_at=clock.now(),
        )
        work.session.add(row)
        await work.session.flush()
        return row, secret

    async def authenticate(self, secret: str) -> Key:
        """Return the key of this secret, and note that it was used. Raises `InvalidKey`, `Unavailable`."""
        if not looks_right(secret):
            raise InvalidKey
        key = await self._finding.run(hash_of(secret))
        if key is None:
            raise await self._ended(secret)
        if key.last_used_at is None or clock.now() - key.last_used_at > TOUCH_EVERY:
            await self._database.fetch(TOUCH, {"id": key.id, "every": TOUCH_EVERY})
        return key

    async def _ended(self, secret: str) -> InvalidKey:
        """Return the error for a key that is not accepted; `key_id` names one that ended."""
        rows: list[Any] = await self._database.fetch(KNOWN, {"hash": hash_of(secret)})
        error = InvalidKey()
        error.key_id = rows[0][0] if rows else None
        return error

    async def _find(self, hashes: Sequence[bytes]) -> list[Key | None]:
        """Return the key of each hash. Requests that come at the same time share one statement."""
        found = await self._database.fetch(FIND, {"hashes": list(set(hashes))}, class_row(Key))
        keys = {key.hash: key for key in found}
        return [keys.get(one) for one in hashes]

    async def stands(self, key_id: UUID) -> bool:
        """Tell whether this key was neither revoked nor expired a second ago. Raises `Unavailable`."""
        now = time.monotonic()
        if now - self._stood_at.get(key_id, -STANDS_FOR) < STANDS_FOR:
            return True
        stands = await self._checking.run(key_id)
        if stands:
            self._stood_at = {known: at for known, at in self._stood_at.items() if now - at < STANDS_FOR}
            self._stood_at[key_id] = now
        return stands

    async def _check(self, ids: Sequence[UUID]) -> list[bool]:
        standing = await self.standing(list(set(ids)))
        return [key_id in standing for key_id in ids]

    async def standing(self, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of these keys that are neither revoked nor expired."""
        rows: list[Any] = await self._database.fetch(STANDING, {"ids": list(ids)})
        return {row[0] for row in rows}

    async def list(self, work: UnitOfWork, *, revoked: bool = False) -> Sequence[ApiKey]:
        """Return the keys, newest first; revoked ones only if `revoked` is true."""
        query = select(ApiKey).order_by(ApiKey.id.desc())
        return (await work.session.scalars(query if revoked else query.where(ApiKey.revoked_at.is_(None)))).all()

    async def get(self, work: UnitOfWork, key_id: UUID) -> ApiKey:
        """Return one key. Raises `UnknownKey`."""
        row = await work.session.get(ApiKey, key_id)
        if row is None:
            raise UnknownKey
        return row

    async def revoke(self, work: UnitOfWork, key_id: UUID) -> ApiKey:
        """Revoke a key; within seconds every process refuses it. Raises `UnknownKey`."""
        row = await self.get(work, key_id)
        work.after_commit(lambda: self._forget(key_id))
        if row.revoked_at is None:
            await work.session.execute(update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=clock.now()))
        return row

    def _forget(self, key_id: UUID) -> None:
        self._stood_at.pop(key_id, None)

    def check_sender(self, key: Key, address: str) -> None:
        """Raise `ForbiddenSender` if this key may not send From this address."""
        domain = to_ascii(address.rpartition("@")[2])
        allowed = key.domains or [self._default_domain]
        if domain not in allowed:
            raise ForbiddenSender(
                f"This key may send From addresses at {', '.join(allowed)}. Use one of these, "
                f"or make a key with `mailroom keys create NAME --domain {domain}`."
            )
