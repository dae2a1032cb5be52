"""Links and codes that are stored nowhere: made from a mail's id and nonce with a key of SECRET_KEY.

The mail's row holds the nonce and the environment holds the key; whoever has only one of them can make
neither. Both are the same in every attempt at a mail.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from uuid import UUID

ID_BYTES = 16
MAC_BYTES = 20  # 160 bits; with the id 36 bytes, which base64 writes without padding
TOKEN_LENGTH = (ID_BYTES + MAC_BYTES) * 4 // 3

ADDED = re.compile(r"[^A-Za-z0-9_-]+\Z")
"""Characters that mail programs take for a part of the link before them: a full stop, a bracket, U+200B."""

ALPHABET = "23456789BCDFGHJKMNPQRSTVWXYZ"
"""No 0 O 1 I L, which look alike; no vowels, so that no code is a word."""
PAIRS = tuple(first + second for second in ALPHABET for first in ALPHABET)
CODE_LENGTH = 8  # 28 ** 8: 38 bits, with five tries

CONFIRMATION, NEW_PASSWORD = "confirmation link", "new password link"
NOT_ME, NEW_ADDRESS = "not me link", "new address link"
KEEP_ACCOUNT, INVITATION = "keep account link", "invitation link"
NOT_MINE = "not mine link"
"""What a link is for: a token for one purpose is invalid for every other."""
PURPOSES = (CONFIRMATION, NEW_PASSWORD, NOT_ME, NEW_ADDRESS, KEEP_ACCOUNT, INVITATION, NOT_MINE)
CODE = "confirmation code"


class Tokens:
    """Makes links' tokens and codes with the first of `secret_keys`, and knows those made with any of them."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._link_keys = {purpose: [_derived(key, purpose) for key in secret_keys] for purpose in PURPOSES}
        self._code_keys = [_derived(key, CODE) for key in secret_keys]

    def token(self, mail_id: UUID, nonce: bytes, purpose: str = CONFIRMATION) -> str:
        """Return the token of this mail's link: 48 characters, fit for a URL's path."""
        mac = _mac(self._link_keys[purpose][0], mail_id, nonce)[:MAC_BYTES]
        return base64.urlsafe_b64encode(mail_id.bytes + mac).decode()

    def code(self, mail_id: UUID, nonce: bytes) -> str:
        """Return the code of this mail, as it is shown: ``XXXX-XXXX``."""
        code = _code(self._code_keys[0], mail_id, nonce)
        return f"{code[:4]}-{code[4:]}"

    def fits(self, token: str, mail_id: UUID, nonce: bytes, purpose: str = CONFIRMATION) -> bool:
        """Tell whether this is the token of this mail, under any of the keys, in constant time."""
        given, keys = _decoded(token), self._link_keys[purpose]
        made = (mail_id.bytes + _mac(key, mail_id, nonce)[:MAC_BYTES] for key in keys)
        return given is not None and _any_equal(given, made)

    def code_fits(self, code: str, mail_id: UUID, nonce: bytes) -> bool:
        """Tell whether a code, as `typed_code` reads it, is this mail's, under any of the keys."""
        made = (_code(key, mail_id, nonce).encode() for key in self._code_keys)
        return _any_equal(code.encode(), made)


def mail_id_of(token: str) -> UUID | None:
    """Return the id a token names (it proves nothing yet), or None if the text cannot be a token."""
    given = _decoded(token)
    return UUID(bytes=given[:ID_BYTES]) if given else None


def typed_code(text: str) -> str | None:
    """Return what a person typed as a code: any case, with or without dashes and spaces; None if it is none."""
    code = "".join(text.split()).replace("-", "").upper()
    return code if len(code) == CODE_LENGTH and set(code) <= set(ALPHABET) else None


def _derived(secret_key: str, purpose: str) -> hmac.HMAC:
    """Return a key for one purpose only (as HKDF does, RFC 5869 §2.2): a code never serves as a link."""
    key = hmac.digest(secret_key.encode(), b"mailroom/accounts/" + purpose.encode(), hashlib.sha256)
    return hmac.new(key, purpose.encode() + b"\0", hashlib.sha256)


def _mac(begun: hmac.HMAC, mail_id: UUID, nonce: bytes) -> bytes:
    # A copy of a keyed HMAC: `hmac.digest` would release the interpreter lock, and wait for it, for every mail.
    mac = begun.copy()
    mac.update(mail_id.bytes + nonce)
    return mac.digest()


def _code(key: hmac.HMAC, mail_id: UUID, nonce: bytes) -> str:
    # 256 bits over 38: no character is noticeably likelier than another.
    number = int.from_bytes(_mac(key, mail_id, nonce)) % len(ALPHABET) ** CODE_LENGTH
    code = ""
    for _ in range(CODE_LENGTH // 2):
        number, pair = divmod(number, len(PAIRS))
        code += PAIRS[pair]
    return code


def _decoded(token: str) -> bytes | None:
    token = ADDED.sub("", token)
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _any_equal(given: bytes, made: Iterable[bytes]) -> bool:
    fits = [hmac.compare_digest(given, candidate) for candidate in made]  # all of them, whichever fits
    return any(fits)
