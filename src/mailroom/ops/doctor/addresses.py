"""Settings that can be read but may still be wrong: From, PUBLIC_URL, proxies, keys."""

from urllib.parse import urlsplit

from mailroom.i18n.messages import gettext, gettext_noop, ngettext
from mailroom.ops.doctor.findings import Finding, broken, good, warning
from mailroom.ops.doctor.mail_server import is_loopback
from mailroom.settings import Settings

FROM, PUBLIC, PROXIES, KEY, METRICS = (
    gettext_noop("from address"),
    gettext_noop("public URL"),
    gettext_noop("proxies"),
    gettext_noop("secret key"),
    gettext_noop("metrics token"),
)
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
COMMAND = 'python -c "import secrets; print(secrets.token_urlsafe(%s))"'


async def check(settings: Settings) -> list[Finding]:
    """Check what can be seen in the settings alone; no server is asked."""
    found = [_from(settings), _public_url(settings), *_proxies(settings), _key(settings), *_metrics(settings)]
    return [finding for finding in found if finding]


def _from(settings: Settings) -> Finding:
    address = settings.sender.address
    domain = address.rpartition("@")[2].lower().rstrip(".")
    if settings.mailroom_inbox:
        return good(FROM, gettext("%(address)s; mail stays on this machine", address=address))
    if _is_reserved(domain):
        words = gettext(
            "nobody can answer %(address)s, and mail servers refuse mail from %(domain)s",
            address=address,
            domain=domain,
        )
        return warning(FROM, words, gettext("Set MAIL_FROM to an address of a domain of yours."))
    host = urlsplit(settings.public_url).hostname or ""
    if not (host == domain or host.endswith(f".{domain}") or domain.endswith(f".{host}")):
        words = gettext("mail comes from %(domain)s, and its links lead to %(host)s", domain=domain, host=host)
        advice = gettext(
            "Spam filters look at that. Make sure that SPF and DKIM are set up for %(domain)s.", domain=domain
        )
        return warning(FROM, words, advice)
    return good(FROM, gettext("%(address)s, of the same domain as PUBLIC_URL", address=address))


def _is_reserved(domain: str) -> bool:
    return any(domain == name or domain.endswith(f".{name}") for name in RESERVED) or "." not in domain


def _public_url(settings: Settings) -> Finding:
    host = urlsplit(settings.public_url).hostname or ""
    if settings.mailroom_embedded:
        return good(PUBLIC, settings.public_url)
    if is_loopback(host):
        words = gettext(
            "links in mails lead to %(url)s, which is the reader's own machine", url=settings.public_url
        )
        advice = gettext("Set PUBLIC_URL to the address at which people reach Mailroom, unless you only try it.")
        return warning(PUBLIC, words, advice)
    if not settings.https:
        words = gettext(
            "%(url)s is not encrypted: everybody on the way can read passwords", url=settings.public_url
        )
        return warning(PUBLIC, words, gettext("Serve Mailroom by https, and write https:// in PUBLIC_URL."))
    return good(PUBLIC, settings.public_url)


def _proxies(settings: Settings) -> list[Finding]:
    if not settings.https or settings.trusted_proxies:
        return []
    words = gettext(
        "PUBLIC_URL is https, so a proxy stands in front, but none is trusted: everybody shares its rate limits"
    )
    advice = gettext("Set TRUSTED_PROXIES to the number of proxies in front (1 on most hosts).")
    return [warning(PROXIES, words, advice)]


def _key(settings: Settings) -> Finding:
    keys = settings.secret_keys
    advice = gettext("Make a new one: %(command)s", command=COMMAND % 48)
    for key in keys:
        if len(set(key)) < FEW or any(phrase in key.lower() for phrase in PHRASES):
            return broken(KEY, gettext("it is long enough but not random: it can be guessed"), advice)
    if len(set(keys)) < len(keys):
        return warning(KEY, gettext("the same key stands in it twice"), gettext("Leave one of the two out."))
    return good(KEY, ngettext("one key", "%(num)s keys: the first signs, all verify", len(keys)))


def _metrics(settings: Settings) -> list[Finding]:
    token = settings.metrics_token.get_secret_value()
    if token and len(token) < SHORT_TOKEN:
        words = gettext("METRICS_TOKEN has fewer than %(least)s characters: it can be guessed", least=SHORT_TOKEN)
        return [warning(METRICS, words, gettext("Make a new one: %(command)s", command=COMMAND % 24))]
    return []
