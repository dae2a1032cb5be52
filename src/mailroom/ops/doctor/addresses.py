"""Settings that can be read but may still be wrong: From, PUBLIC_URL, proxies, keys."""

from urllib.parse import urlsplit

from mailroom.ops.doctor.findings import Finding, broken, good, warning
from mailroom.ops.doctor.mail_server import is_loopback
from mailroom.settings import Settings

FROM, PUBLIC, PROXIES, KEY, METRICS = "from address", "public URL", "proxies", "secret key", "metrics token"
RESERVED = (
    "example",
    "invalid",
    "test",
    "localhost",
    "local",
    "internal",
    "example.com",
    "example.net",
    "example.org",
)
"""Names nobody on the Internet can answer to (RFC 2606, RFC 6761 and kin)."""
FEW = 12
"""Different characters a random key of 32 has at the very least (hexadecimal has 16)."""
PHRASES = ("change", "secret", "example", "password", "mailroom", "12345", "abcdef", "qwerty")
SHORT_TOKEN = 20


async def check(settings: Settings) -> list[Finding]:
    """Check what can be told from the settings alone; nobody is asked."""
    found = [_from(settings), _public_url(settings), *_proxies(settings), _key(settings), *_metrics(settings)]
    return [finding for finding in found if finding]


def _from(settings: Settings) -> Finding:
    address = settings.sender.address
    domain = address.rpartition("@")[2].lower().rstrip(".")
    if settings.mailroom_inbox:
        return good(FROM, f"{address}; mail stays on this machine")
    if _is_reserved(domain):
        words = f"nobody can answer {address}, and mail servers refuse mail from {domain}"
        return warning(FROM, words, "Set MAIL_FROM to an address of a domain of yours.")
    host = urlsplit(settings.public_url).hostname or ""
    if not (host == domain or host.endswith(f".{domain}") or domain.endswith(f".{host}")):
        words = f"mail comes from {domain}, and its links lead to {host}"
        return warning(
            FROM, words, f"Spam filters look at that; make sure that SPF and DKIM are set up for {domain}."
        )
    return good(FROM, f"{address}, of the same domain as PUBLIC_URL")


def _is_reserved(domain: str) -> bool:
    return any(domain == name or domain.endswith(f".{name}") for name in RESERVED) or "." not in domain


def _public_url(settings: Settings) -> Finding:
    host = urlsplit(settings.public_url).hostname or ""
    if settings.mailroom_embedded:
        return good(PUBLIC, settings.public_url)
    if is_loopback(host):
        words = f"links in mails lead to {settings.public_url}, which is the reader's own machine"
        return warning(
            PUBLIC, words, "Set PUBLIC_URL to where people reach Mailroom, unless you are only trying it."
        )
    if not settings.https:
        words = f"{settings.public_url} is not encrypted: passwords cross the network in the clear"
        return warning(PUBLIC, words, "Serve Mailroom by https and say so in PUBLIC_URL.")
    return good(PUBLIC, settings.public_url)


def _proxies(settings: Settings) -> list[Finding]:
    if not settings.https or settings.trusted_proxies:
        return []
    words = (
        "PUBLIC_URL is https, so a proxy stands in front, but none is trusted: everybody shares its rate limits"
    )
    return [warning(PROXIES, words, "Set TRUSTED_PROXIES to the number of proxies in front (1 on most hosts).")]


def _key(settings: Settings) -> Finding:
    keys = settings.secret_keys
    advice = 'Make a new one: python -c "import secrets; print(secrets.token_urlsafe(48))"'
    for key in keys:
        if len(set(key)) < FEW or any(phrase in key.lower() for phrase in PHRASES):
            return broken(KEY, "it is long enough but not random: it can be guessed", advice)
    if len(set(keys)) < len(keys):
        return warning(KEY, "the same key stands in it twice", "Leave one of the two out.")
    return good(KEY, "one key" if len(keys) == 1 else f"{len(keys)} keys: the first signs, all verify")


def _metrics(settings: Settings) -> list[Finding]:
    token = settings.metrics_token.get_secret_value()
    if token and len(token) < SHORT_TOKEN:
        words = f"METRICS_TOKEN has fewer than {SHORT_TOKEN} characters: it can be guessed"
        return [warning(METRICS, words, 'Make one: python -c "import secrets; print(secrets.token_urlsafe(24))"')]
    return []
