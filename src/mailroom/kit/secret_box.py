"""Encrypts small secrets that must be read again, under SECRET_KEY: a dump alone does not reveal them."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class CannotOpen(ValueError):
    """What is in the box was encrypted with a SECRET_KEY that is no longer set, or was changed."""


class SecretBox:
    """Encrypts with the first of `secret_keys`; decrypts what any of them encrypted for the same `purpose`."""

    def __init__(self, secret_keys: Sequence[str], purpose: str) -> None:
        self._fernet = MultiFernet([Fernet(_derived(key, purpose)) for key in secret_keys])

    def close(self, secret: bytes) -> bytes:
        """Return the secret encrypted."""
        return self._fernet.encrypt(secret)

    def open(self, closed: bytes) -> bytes:
        """Return the secret. Raises `CannotOpen`."""
        try:
            return self._fernet.decrypt(closed)
        except InvalidToken:
            raise CannotOpen from None


def _derived(key: str, purpose: str) -> bytes:
    """Return a key for this purpose alone (HKDF, RFC 5869)."""
    info = f"mailroom/{purpose}".encode()
    return urlsafe_b64encode(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key.encode()))
