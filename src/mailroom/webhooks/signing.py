"""Signatures as Standard Webhooks has them: HMAC-SHA256 over id, time and body, under a `whsec_` secret."""

import base64
import hashlib
import hmac
import os

PREFIX = "whsec_"
SECRET_OCTETS = 32


def new_secret() -> bytes:
    """Return a new secret of 256 random bits."""
    return os.urandom(SECRET_OCTETS)


def shown(secret: bytes) -> str:
    """Return the secret as receivers configure it."""
    return PREFIX + base64.b64encode(secret).decode()


def headers(delivery_id: str, timestamp: int, body: bytes, secret: bytes) -> dict[str, str]:
    """Return the headers of a delivery; `svix-*` are the same, for receivers that know these names."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    signature = "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    facts = {"id": delivery_id, "timestamp": str(timestamp), "signature": signature}
    return {f"{prefix}-{name}": value for prefix in ("webhook", "svix") for name, value in facts.items()}
