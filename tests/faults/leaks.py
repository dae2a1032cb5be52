"""Looks for secrets where none may be: our logs, and everything Redis holds."""

import base64
import json
import re
from collections.abc import Iterable, Iterator

from mailroom.accounts.tokens import CONFIRMATION, NEW_PASSWORD, TOKEN_LENGTH, Tokens
from tests.conftest import SECRET_KEY
from tests.faults.stack import Stack
from tests.journeys.people import PASSWORD

WORD = re.compile(r"[A-Za-z0-9_-]{8,}")


class Secrets:
    """What must not be found: each mail's link and code, the password of those who signed up, our keys."""

    def __init__(self, stack: Stack) -> None:
        tokens = Tokens([SECRET_KEY])
        rows = stack.sql("select id, nonce from mails where nonce is not null")
        purposes = (CONFIRMATION, NEW_PASSWORD)
        self.tokens = {
            tokens.token(mail_id, bytes(nonce), purpose) for mail_id, nonce in rows for purpose in purposes
        }
        self.codes = {tokens.code(mail_id, bytes(nonce)) for mail_id, nonce in rows}
        self.codes |= {code.replace("-", "") for code in self.codes}
        self.plain = [PASSWORD, SECRET_KEY, stack.postgres.password, stack.valkey.password]

    def in_text(self, text: str) -> list[str]:
        """Return the secrets a text holds, shortened."""
        found = [secret for secret in self.plain if secret in text]
        found += [word for word in WORD.findall(text) if word in self.codes or self._has_token(word)]
        return [f"{secret[:6]}…" for secret in found]

    def _has_token(self, word: str) -> bool:
        starts = range(len(word) - TOKEN_LENGTH + 1)
        return any(word[start : start + TOKEN_LENGTH] in self.tokens for start in starts)


def in_redis(stack: Stack) -> Iterator[str]:
    """Go through every key and value of every database, messages decoded."""
    with stack.redis() as client:
        for key in client.scan_iter(count=1000):
            kind = client.type(key)
            values: Iterable[object]
            if kind == b"string":
                values = [client.get(key)]
            elif kind == b"list":
                values = client.lrange(key, 0, -1)  # type: ignore[assignment]
            elif kind == b"hash":
                values = [part for pair in client.hgetall(key).items() for part in pair]  # type: ignore[union-attr]
            elif kind == b"zset":
                values = client.zrange(key, 0, -1)  # type: ignore[assignment]
            elif kind == b"set":
                values = client.smembers(key)  # type: ignore[assignment]
            else:
                values = [client.dump(key)]
            yield key.decode(errors="replace")
            for value in values:
                yield from _decoded(value)


def _decoded(value: object) -> Iterator[str]:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    yield text
    try:
        message = json.loads(text)
        message = message[0] if isinstance(message, list) else message
        yield base64.b64decode(message["body"]).decode(errors="replace")
    except (ValueError, KeyError, TypeError, IndexError):
        pass


def check(stack: Stack) -> None:
    """Fail where a secret is in one of our logs or in Redis."""
    secrets = Secrets(stack)
    for log in stack.folder.glob("*.log"):
        assert not (found := secrets.in_text(log.read_text(errors="replace"))), f"{log.name} holds {found}"
    for text in in_redis(stack):
        assert not (found := secrets.in_text(text)), f"Redis holds {found}: {text[:200]}"
