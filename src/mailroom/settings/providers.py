"""OIDC_PROVIDERS: whose accounts sign in here (OpenID Connect)."""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from mailroom.settings.url_parts import ENCODE, UrlParts

EXAMPLE = "google=https://CLIENT_ID:CLIENT_SECRET@accounts.google.com"
NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
LONGEST_LABEL = 40
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One provider: an issuer of OpenID Connect, and Mailroom's credentials there."""

    name: str
    """In the addresses of our pages: ``/sign-in/with/google``."""
    label: str
    """On the buttons."""
    issuer: str
    """Exactly as the provider writes it in its tokens; a slash at its end counts."""
    client_id: str
    client_secret: str = field(repr=False)
    """Empty: a public client, which proves itself by PKCE alone."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name=https://client:secret@issuer/path?label=Name``.

        Raises `ValueError` with what to write instead, never with a part of `text`.
        """
        name, equals, url = text.strip().partition("=")
        name = name.strip()
        if not equals or not NAME.fullmatch(name):
            raise ValueError(f"must name each provider in small letters, and its address: {EXAMPLE}")
        parts = UrlParts.parse(url, schemes=("https", "http"), example=EXAMPLE)
        if parts.scheme == "http" and not is_loopback(parts.host):
            raise ValueError("must have https addresses: who is on the way could sign in as anybody")
        if not parts.username:
            raise ValueError(f"must name the client id (and its secret) in front of the host: {EXAMPLE}")
        if set(parts.options) - {"label"}:
            raise ValueError("has an option that is not known; there is only label")
        label = parts.options.get("label", name.capitalize()).strip()
        if not 0 < len(label) <= LONGEST_LABEL or not label.isprintable():
            raise ValueError(f"must have labels of at most {LONGEST_LABEL} characters")
        return cls(name, label, _issuer(url), parts.username, parts.password)


def providers(text: str) -> list[ProviderSettings]:
    """Return the providers of OIDC_PROVIDERS. Raises `ValueError` as `ProviderSettings.parse` does."""
    found = [ProviderSettings.parse(part) for part in text.split(",") if part.strip()]
    if len({one.name for one in found}) < len(found) or len({one.issuer for one in found}) < len(found):
        raise ValueError("must name each provider, and each issuer, once")
    return found


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is this machine, where plain http is safe."""
    return host in LOOPBACK


def is_safe(url: str) -> bool:
    """Tell whether an address may be asked for tokens and keys: https, or this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def _issuer(url: str) -> str:
    """Return the address without client and options, otherwise as it was written."""
    scheme, _, rest = url.strip().partition("?")[0].partition("://")
    place, slash, path = rest.partition("/")
    issuer = f"{scheme.lower()}://{place.rpartition('@')[2]}{slash}{path}"
    if "#" in issuer:
        raise ValueError(ENCODE)
    return issuer
