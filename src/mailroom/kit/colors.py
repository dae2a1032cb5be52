"""Colours: how well one stands out from another (WCAG 2.2), and the nearest shade that stands out enough."""

import colorsys
import re
from collections.abc import Sequence

HEX = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
WHITE, BLACK = "#ffffff", "#000000"
READABLE = 4.5
"""Contrast of text with what is behind it (WCAG 2.2, 1.4.3)."""
STEPS = 200
"""Shades between a colour and black or white that are tried."""


def hex_color(text: str) -> str:
    """Return a colour as ``#rrggbb`` in small letters; ``#fa0`` and ``ffaa00`` are understood, too.

    Raises ValueError if it is no colour.
    """
    found = HEX.fullmatch(text.strip())
    if found is None:
        raise ValueError("must be a colour in hexadecimals: #7a1fa2")
    digits = found[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))  # noqa: PLR2004


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def least_contrast(color: str, grounds: Sequence[str]) -> float:
    """Return the contrast of a colour with the one of `grounds` from which it stands out least."""
    return min(contrast(color, ground) for ground in grounds)


def ink_on(color: str) -> str:
    """Return white if it can be read on this colour, else black, which then can be read."""
    return WHITE if contrast(WHITE, color) >= READABLE else BLACK


def readable_shade(color: str, grounds: Sequence[str]) -> str:
    """Return the colour itself if it can be read on all `grounds`, else the nearest shade that can.

    The grounds are all light or all dark: as little black, or white, is mixed in as is needed.
    """
    far = BLACK if contrast(BLACK, grounds[0]) > contrast(WHITE, grounds[0]) else WHITE
    shades = (_mixed(color, far, step / STEPS) for step in range(STEPS + 1))
    return next((shade for shade in shades if least_contrast(shade, grounds) >= READABLE), far)


def hue_and_saturation(color: str) -> tuple[float, float]:
    """Return the hue in degrees and the saturation from 0 to 1 (HSV)."""
    hue, saturation, _ = colorsys.rgb_to_hsv(*(part / 255 for part in _parts(color)))
    return hue * 360, saturation


def _parts(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    parts = (part / 255 for part in _parts(color))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)  # noqa: PLR2004
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(color: str, other: str, share: float) -> str:
    pairs = zip(_parts(color), _parts(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)
