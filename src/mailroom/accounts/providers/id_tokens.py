"""Checks ID tokens (OpenID Connect Core §3.1.3.7): who signed them, for whom, for which request, and when."""

import hmac
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from mailroom.kit import clock

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"})
"""Only signatures with a key pair. If HS256 were taken, a provider's public key could be used to forge tokens."""
KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC"}
USED_TYPES = ("RSA", "EC")
CLOCKS_DIFFER = 60
"""Seconds by which the provider's clock may be wrong."""
LONGEST = 32 * 1024
"""Characters of a token."""
LONGEST_SUBJECT = 255
"""Core §2."""
MOST_KEYS = 50
SHORTEST_MODULUS = 342
"""Characters of 2048 bits (RFC 7518 §3.3)."""

Key = jwk.RSAKey | jwk.ECKey


class WrongToken(Exception):
    """A token cannot be trusted. The message says why, without a word of the token."""


class UnknownKey(WrongToken):
    """None of the keys signed it. The provider may have new ones."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to say: who issued it, for which client, and for which request."""

    issuer: str
    client_id: str
    nonce: str
    algorithms: Collection[str] = ALGORITHMS


def read_keys(document: Mapping[str, Any]) -> list[Key]:
    """Return the keys of a JWK set (RFC 7517 §5) that can have signed a token; others are skipped."""
    listed = document.get("keys")
    keys: list[Key] = []
    for one in listed[:MOST_KEYS] if isinstance(listed, list) else ():
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") not in USED_TYPES:
            continue
        if one["kty"] == "RSA" and len(str(one.get("n", ""))) < SHORTEST_MODULUS:
            continue
        try:
            kind: type[Key] = jwk.RSAKey if one["kty"] == "RSA" else jwk.ECKey
            keys.append(kind.import_key(one))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return keys


def checked(token: str, keys: Sequence[Key], expected: Expected) -> Mapping[str, Any]:
    """Return the claims of a token. Raises `WrongToken`, and `UnknownKey` if none of `keys` signed it."""
    claims = _verified(token, keys, expected.algorithms)
    if claims.get("iss") != expected.issuer:
        raise WrongToken("another issuer")
    _check_audience(claims, expected.client_id)
    _check_times(claims)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise WrongToken("another nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise WrongToken("no subject")
    return claims


def _verified(token: str, keys: Sequence[Key], algorithms: Collection[str]) -> Mapping[str, Any]:
    if len(token) > LONGEST or not token.isascii():
        raise WrongToken("no token")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError):
        raise WrongToken("no token") from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS.intersection(algorithms):
        raise WrongToken("an algorithm that is not allowed")
    fit = [key for key in keys if key.key_type == KEY_TYPES[algorithm[:2]] and _may_be(key, kid, algorithm)]
    for key in fit:
        try:
            return jwt.decode(token, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError, json.JSONDecodeError):
            continue  # another key may have the same `kid`, or none
    raise UnknownKey("no key of the provider signed it")


def _may_be(key: Key, kid: object, algorithm: str) -> bool:
    said = key.as_dict(private=False)
    return (kid is None or said.get("kid") == kid) and said.get("alg", algorithm) == algorithm


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience, party = claims.get("aud"), claims.get("azp")
    listed = audience if isinstance(audience, list) else [audience]
    if client_id not in listed:
        raise WrongToken("for another client")
    if (len(listed) > 1 or party is not None) and party != client_id:
        raise WrongToken("for several clients, and given to another one")


def _check_times(claims: Mapping[str, Any]) -> None:
    now = clock.now().timestamp()
    expires, issued, begins = (claims.get(name) for name in ("exp", "iat", "nbf"))
    if not _is_time(expires) or now >= expires + CLOCKS_DIFFER:
        raise WrongToken("too old")
    for begin in (issued, begins):
        if begin is not None and not (_is_time(begin) and begin <= now + CLOCKS_DIFFER):
            raise WrongToken("from the future")
    if issued is None:
        raise WrongToken("without a time")


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
