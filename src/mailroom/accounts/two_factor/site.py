"""The site that passkeys belong to (the relying party of WebAuthn)."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

NO_IP, NO_HTTPS = "passkeys.no_ip", "passkeys.no_https"
"""Why a site cannot have passkeys."""
Options = dict[str, Any]
"""What a page's script hands to the browser, as WebAuthn §5.4 and §5.5 have it in JSON."""


@dataclass(frozen=True, slots=True)
class PasskeySite:
    """`rp_id` is the host that passkeys are bound to, `origin` the origin of the pages that ask for one."""

    rp_id: str
    origin: str
    obstacle: str | None = None
    """Why browsers refuse passkeys here, as a code; None: they do not."""

    @classmethod
    def of(cls, public_url: str) -> "PasskeySite":
        """Return the site of a PUBLIC_URL. WebAuthn refuses IP addresses (level 3 §5.1.2) and insecure pages."""
        parts = urlsplit(public_url)
        host = parts.hostname or ""
        origin = f"{parts.scheme}://{parts.netloc.lower()}"
        try:
            ip_address(host)
        except ValueError:
            is_secure = parts.scheme == "https" or host == "localhost" or host.endswith(".localhost")
            return cls(host, origin, None if is_secure else NO_HTTPS)
        return cls(host, origin, NO_IP)
