"""An authenticator in software: it makes passkeys and signs challenges, or lies where it is told to."""

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40
SYNCED = 0x08 | 0x10
"""Backup eligible, and backed up."""
ORIGIN = "http://localhost"


@dataclass
class Authenticator:
    """One passkey. `count` is what it says at its next signature; None: it is synchronised and always says 0."""

    count: int | None = 1
    verifies: bool = True
    origin: str = ORIGIN
    rp_id: str = "localhost"
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user: bytes = b""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make the passkey; return what a browser sends."""
        self.user = base64url_to_bytes(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + cbor2.dumps(cose)
        data = self._data(ATTESTED) + attested
        self._used()
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": bytes_to_base64url(self._client_data("webauthn.create", options)),
            "attestationObject": bytes_to_base64url(made),
            "transports": ["internal", "hybrid", "of-mallory"],
        }
        return self._credential(response)

    def get(self, options: dict[str, Any], *, handle: bytes | None = None) -> dict[str, Any]:
        """Sign a challenge; return what a browser sends."""
        client_data = self._client_data("webauthn.get", options)
        data = self._data(0)
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        self._used()
        response = {
            "clientDataJSON": bytes_to_base64url(client_data),
            "authenticatorData": bytes_to_base64url(data),
            "signature": bytes_to_base64url(signature),
            "userHandle": bytes_to_base64url(handle or self.user),
        }
        return self._credential(response)

    def _used(self) -> None:
        if self.count is not None:
            self.count += 1

    def _data(self, flags: int) -> bytes:
        flags |= USER_PRESENT | (USER_VERIFIED if self.verifies else 0) | (SYNCED if self.count is None else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + (self.count or 0).to_bytes(4)

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        written = bytes_to_base64url(self.id)
        return {
            "id": written,
            "rawId": written,
            "type": "public-key",
            "clientExtensionResults": {},
            "response": response,
        }
