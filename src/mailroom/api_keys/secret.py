"""The key itself: ``mr_``, 160 random bits, and a checksum that finds a typing error without the database."""

import hashlib
import secrets
import zlib

PREFIX = "mr_"
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, in lower case: no letter that looks like a digit."""
RANDOM_BITS = 160
RANDOM_LENGTH, CHECK_LENGTH = 32, 7
SHOWN = len(PREFIX) + 6
"""Characters that stay readable in lists; they are no secret worth keeping: 130 bits are left."""


def new_secret() -> str:
    """Return a new key, shown to its owner once."""
    body = _base32(secrets.randbits(RANDOM_BITS), RANDOM_LENGTH)
    return f"{PREFIX}{body}{_check(body)}"


def looks_right(text: str) -> bool:
    """Tell whether this can be a key: prefix, length and checksum."""
    body, check = text[len(PREFIX) : -CHECK_LENGTH], text[-CHECK_LENGTH:]
    return text.startswith(PREFIX) and len(body) == RANDOM_LENGTH and check == _check(body)


def hash_of(secret: str) -> bytes:
    """Return what the database keeps: SHA-256, 32 bytes. A key is random, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).digest()


def start_of(secret: str) -> str:
    """Return the characters by which its owner recognises it."""
    return secret[:SHOWN]


def _check(body: str) -> str:
    return _base32(zlib.crc32(body.encode()), CHECK_LENGTH)


def _base32(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))
