"""Watch tokens: whoever holds one may see where one message, mail or task is, and nothing else, for a time.

A token is ``w`` and base64url of kind (1 octet), id (16), key (16), expiry (4, seconds since 1970) and the first
16 octets of an HMAC-SHA256 over these, under SECRET_KEY. It names no address, and is stored nowhere.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from mailroom.kit import clock

Kind = Literal["message", "mail", "task"]
KINDS: dict[int, Kind] = {1: "message", 2: "mail", 3: "task"}
NUMBERS = {kind: number for number, kind in KINDS.items()}
LIFETIME = timedelta(hours=1)
PURPOSE = b"mailroom/watch/"
MAC, FACTS = 16, 37
LENGTH = 1 + 4 * ((FACTS + MAC + 2) // 3) - 1


class WrongWatchToken(ValueError):
    """The token is none of ours, or was changed."""


class ExpiredWatchToken(WrongWatchToken):
    """The token's time is over; a new one comes with a new request of its program."""


@dataclass(frozen=True, slots=True)
class WatchTarget:
    """What a token lets its holder see, the key that it is from, and until when."""

    kind: Kind
    id: UUID
    key_id: UUID
    expires_at: datetime


class WatchTokens:
    """Makes tokens with the first of `secret_keys`, and takes those of all."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in secret_keys]

    def make(self, kind: Kind, target: UUID, key_id: UUID, lifetime: timedelta = LIFETIME) -> str:
        """Return a token for this message, mail or external task of this key."""
        expires = int((clock.now() + lifetime).timestamp())
        facts = bytes([NUMBERS[kind]]) + target.bytes + key_id.bytes + expires.to_bytes(4)
        return _written(facts + _mac(self._keys[0], facts))

    def read(self, token: str) -> WatchTarget:
        """Return what a token opens. Raises `WrongWatchToken`, `ExpiredWatchToken`."""
        try:
            raw = base64.b64decode(token[1:].encode("ascii") + b"=" * (-len(token[1:]) % 4), b"-_", validate=True)
        except ValueError:
            raise WrongWatchToken from None
        facts, mac = raw[:FACTS], raw[FACTS:]
        if token != _written(raw) or len(raw) != FACTS + MAC or facts[0] not in KINDS:
            raise WrongWatchToken
        if not any(hmac.compare_digest(mac, _mac(key, facts)) for key in self._keys):
            raise WrongWatchToken
        expires = datetime.fromtimestamp(int.from_bytes(facts[33:37]), UTC)
        if expires <= clock.now():
            raise ExpiredWatchToken
        return WatchTarget(KINDS[facts[0]], UUID(bytes=facts[1:17]), UUID(bytes=facts[17:33]), expires)


def _written(raw: bytes) -> str:
    return "w" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _mac(key: bytes, facts: bytes) -> bytes:
    return hmac.digest(key, PURPOSE + facts, hashlib.sha256)[:MAC]
