"""What an operator's own name, logo and colour look like: in pages, mails, and what browsers and apps show."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from mailroom.kit.colors import READABLE, hex_color, hue_and_saturation, ink_on, least_contrast, readable_shade
from mailroom.kit.domain_names import to_ascii, to_unicode
from mailroom.kit.pictures import Picture, read_picture

PRODUCT = "Mailroom"
"""What pages call themselves without PRODUCT_NAME."""
LONGEST_NAME = 40
LIGHT_GROUNDS = ("#efe9dc", "#f5f1e8", "#fffdf9", "#f4f5f3", "#ffffff")
DARK_GROUNDS = ("#1e2226", "#1c2028", "#171a21", "#14171a", "#13161c")
"""Backgrounds of text in pages (`mailroom.css`) and mails (`layout.html`), that with the least contrast first."""
VISIBLE = 3.0
"""Contrast of the edge of a button with what is around it (WCAG 2.2, 1.4.11)."""
STATE_HUES = ((-30, 55), (110, 175))
"""Hues of red, amber and green, in degrees: these colours show the state of a mail."""
GREY = 0.2
"""Saturation below which a colour is a grey, which says that a mail waits."""
LARGEST_IN_MAIL = 32 * 1024
"""Bytes of a picture that every mail carries."""


@dataclass(frozen=True, slots=True)
class Accent:
    """The colour of buttons and links; each ``#rrggbb``."""

    fill: str
    """The ground of buttons: the colour as the operator gave it."""
    ink: str
    """Text on it."""
    light: str
    """Links and edges on light pages: a shade that can be read there."""
    dark: str
    """The same on dark pages."""
    is_own: bool = True
    """False for Mailroom's own blue."""

    @classmethod
    def of(cls, color: str) -> "Accent":
        """Return the colours that are made from the operator's colour."""
        light, dark = readable_shade(color, LIGHT_GROUNDS), readable_shade(color, DARK_GROUNDS)
        return cls(color, ink_on(color), light, dark)

    @property
    def tells_states_apart(self) -> bool:
        """True if progress bars may have this colour: nobody takes it for a state's red, amber, green or grey."""
        hue, saturation = hue_and_saturation(self.fill)
        near = any(low <= hue <= high or low <= hue - 360 <= high for low, high in STATE_HUES)
        return self.is_own and saturation >= GREY and not near

    @property
    def shaded(self) -> list[tuple[str, float, str]]:
        """For ``light`` and ``dark``, if the colour cannot be read there: its contrast, and the shade used."""
        grounds = (("light", LIGHT_GROUNDS, self.light), ("dark", DARK_GROUNDS, self.dark))
        return [
            (scheme, least_contrast(self.fill, ground), shade)
            for scheme, ground, shade in grounds
            if least_contrast(self.fill, ground) < READABLE
        ]


BLUE = Accent("#1d4f9e", "#ffffff", "#1d4f9e", "#8fb7f7", is_own=False)


@dataclass(frozen=True, slots=True)
class Brand:
    """The operator's name, logo and colour as the settings have them, or the defaults for them."""

    name: str
    """What pages call themselves."""
    site: str
    """What mails, apps and devices call it: the operator's name; without one the host, as people know it."""
    label: str
    """What stands in brackets in the subject of alerts."""
    accent: Accent
    logo: Picture | None
    mail_logo: Picture | None
    """The PNG that mails carry: mail programs show no SVG."""
    support: str
    privacy: str
    imprint: str

    @property
    def links(self) -> list[tuple[str, str]]:
        """Code and address of each link of the footer that is set; ``support`` is a mail address."""
        pairs = (("support", self.support), ("privacy", self.privacy), ("imprint", self.imprint))
        return [(code, address) for code, address in pairs if address]


PLAIN = Brand(PRODUCT, PRODUCT, PRODUCT, BLUE, None, None, "", "", "")
"""The brand if nothing is set."""


def brand_of(
    *, name: str, public_url: str, logo: Path | None, color: str, support: str, privacy: str, imprint: str
) -> Brand:
    """Return the brand of settings that were checked. Reads the logo's file."""
    host = known_host(public_url)
    picture = read_picture(logo) if logo else None
    return Brand(
        name=name or PRODUCT,
        site=name or host or PRODUCT,
        label=name or f"{PRODUCT} {host}".strip(),
        accent=Accent.of(color) if color else BLUE,
        logo=picture,
        mail_logo=_for_mails(logo, picture) if logo and picture else None,
        support=support,
        privacy=privacy,
        imprint=imprint,
    )


def known_host(public_url: str) -> str:
    """Return the host of PUBLIC_URL as people know it; empty for an IP address and for localhost."""
    host = urlsplit(public_url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return "" if host == "localhost" or host.endswith(".localhost") else to_unicode(host)
    return ""


def _for_mails(path: Path, logo: Picture) -> Picture | None:
    """Return the PNG for mails, which is beside an SVG under the same name; None if it is missing or too large."""
    if logo.kind == "png":
        return logo if len(logo.content) <= LARGEST_IN_MAIL else None
    beside = path.with_suffix(".png")
    try:
        found = read_picture(beside, largest=LARGEST_IN_MAIL) if beside.is_file() else None
    except ValueError:
        return None
    return found if found and found.kind == "png" else None


# -- the settings


def _name(value: str) -> str:
    value = " ".join(value.split())
    if len(value) > LONGEST_NAME:
        raise ValueError(f"must have {LONGEST_NAME} characters or fewer")
    if not value.isprintable() or ":" in value:
        raise ValueError("must be a name on one line, without a colon (authenticator apps end it there)")
    return value


def _logo(value: Path | None) -> Path | None:
    if value is not None:
        read_picture(value)
    return value


def _color(value: str) -> str:
    return hex_color(value) if value else value


def _address(value: str) -> str:
    local, at, domain = value.strip().rpartition("@")
    try:
        ascii_domain = to_ascii(domain) if domain else ""
    except ValueError:
        ascii_domain = ""
    if value and not (at and local and ascii_domain and local.isprintable() and not set(local) & set(' @<>"?&')):
        raise ValueError("must be a mail address alone: help@example.org")
    return value.strip()


def _page(value: str) -> str:
    value = value.strip()
    try:
        parts = urlsplit(value)
        is_page = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_page = False
    if value and not (is_page and value.isprintable() and " " not in value):
        raise ValueError("must be the address of a page: https://example.org/privacy")
    return value


ProductName = Annotated[str, AfterValidator(_name)]
LogoFile = Annotated[Path | None, AfterValidator(_logo)]
AccentColor = Annotated[str, AfterValidator(_color)]
SupportAddress = Annotated[str, AfterValidator(_address)]
PageAddress = Annotated[str, AfterValidator(_page)]
