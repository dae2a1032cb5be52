"""One strict parser for the addresses of servers, so that every part of Mailroom reads the same.

Libraries disagree if a password holds ``/``, ``#``, ``?``, ``@`` or ``%``: one takes the password's beginning
for the host, another refuses. This parser (RFC 3986) takes only what has a single reading. No message quotes the
address: any piece of it may be a piece of the password.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address, ip_address
from typing import Self
from urllib.parse import unquote

from mailroom.kit.domain_names import to_ascii

ENCODE = (
    "cannot be read: percent-encode the special characters in user and password "
    "(@ is %40, : is %3A, / is %2F, # is %23, ? is %3F, ; is %3B, % is %25, a space is %20)"
)
PORT = f"must have a port from 1 to 65535, or none. If a piece of the password was taken for the port, it {ENCODE}"
HOST_NAME = f"names a host that cannot exist. If a piece of the password was taken for the host, it {ENCODE}"
HIGHEST_PORT = 65535
BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?")
Host = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class UrlParts:
    """The parts of ``scheme://user:password@host:port/path?name=value``, percent-decoded."""

    scheme: str
    username: str
    password: str
    hosts: tuple[Host, ...]
    """Each with its port, or None if none is given. Only PostgreSQL takes several, or none (a local socket)."""
    path: str
    """What follows the slash after the host, without that slash."""
    options: Mapping[str, str]

    @classmethod
    def parse(cls, url: str, *, schemes: Collection[str], example: str, many_hosts: bool = False) -> Self:
        """Read `url`. Raises `ValueError` with what to write instead, never with a part of `url`."""
        scheme, separator, rest = url.strip().partition("://")
        if not separator or scheme.lower() not in schemes:
            raise ValueError(f"must look like {example}")
        if "#" in rest or BAD_PERCENT.search(rest) or any(not c.isprintable() or c.isspace() for c in rest):
            raise ValueError(ENCODE)
        rest, _, query = rest.partition("?")
        authority, _, path = rest.partition("/")
        if "@" in path or "@" in query or authority.count("@") > 1:
            raise ValueError(ENCODE)
        user, _, place = authority.rpartition("@")
        username, _, password = user.partition(":")
        names = place.split(",") if many_hosts else [place]
        hosts = tuple(_host(name) for name in names) if place else ()
        if not hosts and not many_hosts:
            raise ValueError(f"names no host: it must look like {example}")
        return cls(
            scheme=scheme.lower(),
            username=decode(username),
            password=decode(password),
            hosts=hosts,
            path=decode(path.rstrip("/")),
            options=_options(query),
        )

    @property
    def host(self) -> str:
        """The host; the first one if there are several; empty for a local socket."""
        return self.hosts[0][0] if self.hosts else ""

    @property
    def port(self) -> int | None:
        """The port of the host; of the first one if there are several."""
        return self.hosts[0][1] if self.hosts else None


def decode(text: str) -> str:
    """Return `text` percent-decoded. Raises `ValueError` if that is not UTF-8."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:  # its message quotes the text
        raise ValueError(ENCODE) from None


def shown_host(host: str, port: int | None) -> str:
    """Return ``host:port``, fit for a screen and for a URL: an IPv6 address stands in brackets."""
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{port}" if port else name


def _host(text: str) -> Host:
    if text.startswith("["):
        inside, closed, after = text[1:].partition("]")
        if not closed or (after and not after.startswith(":")):
            raise ValueError("must have an IPv6 address in brackets: [2001:db8::1]")
        try:
            name = str(IPv6Address(inside))
        except AddressValueError:
            raise ValueError("must have an IPv6 address in brackets: [2001:db8::1]") from None
        return name, _port(after[1:])
    name, _, port = text.partition(":")
    if name.lower().startswith("%2f"):  # a folder of PostgreSQL's local sockets
        return decode(name), _port(port)
    return host_name(name), _port(port)


def host_name(name: str) -> str:
    """Return a host's name in ASCII and small letters; ``bücher.example`` is ``xn--bcher-kva.example`` (IDNA).

    Raises `ValueError` if it is no such name.
    """
    try:
        ascii_name = to_ascii(name)
    except ValueError:
        raise ValueError(HOST_NAME) from None
    if not NAME.fullmatch(ascii_name):
        raise ValueError(HOST_NAME)
    return ascii_name


def listening_host(text: str) -> str:
    """Return what HOST names: an IP address (brackets are left out) or a host. Raises `ValueError`."""
    address = text.removeprefix("[").removesuffix("]") if text.startswith("[") else text
    try:
        return str(ip_address(address))
    except ValueError:
        pass
    try:
        return host_name(text)
    except ValueError:
        raise ValueError("must be an address of this machine, without a port: 127.0.0.1, 0.0.0.0 or ::") from None


def _port(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= HIGHEST_PORT):
        raise ValueError(PORT)
    return int(text)


def _options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name in found:
            raise ValueError("names an option twice after the question mark")
        found[name] = decode(value)
    return found
