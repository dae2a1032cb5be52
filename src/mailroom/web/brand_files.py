"""The files that an operator's name, logo and colour change: a style sheet, the logo, the icons of the tab.

They are made once, when the web starts, and served from memory. They take precedence over those below static/.
"""

import re
from base64 import b64encode
from collections.abc import Mapping

from mailroom.kit.pictures import Picture
from mailroom.settings.brand import BLUE, Accent, Brand
from mailroom.web.static_files import StaticFile, static_files

ACCENT_SHEET = "accent.css"
SHEETS = ("mailroom.css", ACCENT_SHEET)
SCHEMES = ("light", "dark")
MEDIA = "@media (prefers-color-scheme: dark)"
MOODS = ("bad", "good", "moving", "unsure", "waiting")
SVG = "image/svg+xml"
CSS = "text/css; charset=utf-8"
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The content policy of the operator's picture when it is opened alone: it may only be shown."""
EMBED_BLUE = "#2563eb"
"""The colour of the progress bar in `embed.js`."""
BADGE = re.compile(r'<circle cx="25" cy="24".*(?=</svg>)')
"""The mark at the corner of an icon of the tab, in `favicon-<mood>.svg`."""


def brand_files(brand: Brand) -> dict[str, StaticFile]:
    """Return the files that differ from those below static/, and new ones, by path."""
    sheet = accent_sheet(brand.accent)
    files = {ACCENT_SHEET: StaticFile.of(sheet.encode(), CSS)}
    if brand.accent.is_own:
        files |= _recoloured(brand.accent)
    if brand.logo:
        files[logo_name(brand.logo)] = StaticFile.of(brand.logo.content, brand.logo.content_type, PICTURE_POLICY)
        if not brand.logo.is_wide:
            files |= _icons(brand.logo)
    for scheme in SCHEMES:
        plain = {"mailroom.css": static_files()["mailroom.css"].content.decode(), ACCENT_SHEET: sheet}
        for name, text in plain.items():
            files[f"{scheme}/{name}"] = StaticFile.of(forced(text, scheme).encode(), CSS)
    return files


def logo_name(logo: Picture) -> str:
    """Return the path of the operator's logo among the static files."""
    return f"brand.{logo.kind}"


def accent_sheet(accent: Accent) -> str:
    """Return the style sheet of a colour; it is laid over `mailroom.css`. Empty for Mailroom's own blue."""
    if not accent.is_own:
        return ""

    def variables(shade: str) -> str:
        found = {"blue": shade, "red": shade, "fill": accent.fill, "fill-ink": accent.ink}
        if accent.tells_states_apart:
            found |= {"moving": shade, "mailroom-accent": shade}
        return " ".join(f"--{name}: {value};" for name, value in found.items())

    return f":root {{ {variables(accent.light)} }}\n{MEDIA} {{ :root {{ {variables(accent.dark)} }} }}\n"


def forced(text: str, scheme: str) -> str:
    """Return a style sheet, or a page with one in it, as it is in this scheme, whatever the reader prefers."""
    text = text.replace(MEDIA, "@media all" if scheme == "dark" else "@media not all")
    return text.replace("color-scheme: light dark", f"color-scheme: {scheme}")


def _recoloured(accent: Accent) -> Mapping[str, StaticFile]:
    """Return Mailroom's own logo and icons in another colour."""

    def other(name: str, *pairs: tuple[str, str]) -> StaticFile:
        text = static_files()[name].content.decode()
        for old, new in pairs:
            text = text.replace(old, new)
        return StaticFile.of(text.encode(), SVG)

    shades = ((BLUE.light, accent.light), ("#b3352a", accent.light), (BLUE.dark, accent.dark))
    drawn = {name: other(name, *shades, ("#e0776b", accent.dark)) for name in ("logo.svg", "empty.svg")}
    icon = ((BLUE.fill, accent.fill), ("#fff", accent.ink))
    drawn["favicon.svg"] = other("favicon.svg", *icon)
    if accent.tells_states_apart:
        drawn["favicon-moving.svg"] = other("favicon-moving.svg", (BLUE.fill, accent.light))
        script = static_files()["embed.js"]
        content = script.content.replace(EMBED_BLUE.encode(), accent.light.encode())
        drawn["embed.js"] = StaticFile.of(content, script.content_type)
    return drawn


def _icons(logo: Picture) -> Mapping[str, StaticFile]:
    """Return the tab icons: the logo alone, and the logo with the mark of each state of a mail."""
    width, height = logo.fitted(32, 32)
    data = f"data:{logo.content_type};base64,{b64encode(logo.content).decode()}"
    place = f'x="{(32 - width) / 2:g}" y="{(32 - height) / 2:g}" width="{width}" height="{height}"'
    image = f'<image {place} href="{data}"/>'

    def icon(mark: str = "") -> StaticFile:
        text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{image}{mark}</svg>'
        return StaticFile.of(text.encode(), SVG, f"{PICTURE_POLICY}; img-src data:")

    icons = {"favicon.svg": icon()}
    for mood in MOODS:
        name = f"favicon-{mood}.svg"
        found = BADGE.search(static_files()[name].content.decode())
        icons[name] = icon(found[0] if found else "")
    return icons
