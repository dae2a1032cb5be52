"""Pictures that an operator gives us to show: PNG and SVG, recognized by their content, and harmless.

An SVG is a document that may run scripts and load files. One that does, or could, is refused, with the line where
it does. There is a list of what an SVG may contain; nothing is removed silently.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat
from zlib import crc32

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
BROKEN_PNG = "is a PNG that is broken: save it again"
LARGEST = 128 * 1024
"""Bytes of a picture."""
MOST_PIXELS, FEWEST_PIXELS = 4096, 16
"""Pixels of a side."""
FARTHEST = 1_000_000
"""Units of an SVG: no picture has more, and infinity has no proportions."""
GREY, RGB = 0, 2
"""Colour types of PNG without an alpha channel (PNG, third edition, §11.2.1)."""

SVG, XLINK, XHTML = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", "http://www.w3.org/1999/xhtml"
NAMES = """
svg g path rect circle ellipse line polyline polygon text tspan textPath defs use symbol image switch style
linearGradient radialGradient stop clipPath mask pattern marker title desc metadata filter view
feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap
feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feMerge feMergeNode
feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence
"""
SHAPES = frozenset(NAMES.split())
"""The elements of SVG that draw: no scripts, no links, no animations, no HTML."""
INSIDE = re.compile(r"#[^\s]*|data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
"""Addresses that load nothing from elsewhere."""
LOADS = re.compile(
    r"url\((?!\s*[\"']?\s*#)|@import|image-set|\bsrc\s*\(|expression|-moz-binding|\\", re.IGNORECASE
)
"""What in CSS loads something, or could hide that it does (an escape)."""
SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+)(px)?\s*")
DARK = b"prefers-color-scheme"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that may be shown; width and height in pixels, or in the units of an SVG."""

    content: bytes
    kind: str
    """``png`` or ``svg``."""
    width: float
    height: float
    opaque: bool
    """True if nothing shows through it: it has a background of its own."""
    adapts: bool
    """True if it looks different on a dark page, by itself."""

    @property
    def content_type(self) -> str:
        """The media type."""
        return "image/png" if self.kind == "png" else "image/svg+xml"

    @property
    def needs_ground(self) -> bool:
        """True if it may have dark lines and no background: on a dark page it needs a light one to be seen."""
        return not (self.opaque or self.adapts)

    @property
    def is_wide(self) -> bool:
        """True for a picture more than twice as wide as high, as logos with a name are."""
        return self.width > 2 * self.height

    def fitted(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height in pixels with which it fits into a box of this size."""
        scale = min(width / self.width, height / self.height)
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))


def read_picture(path: Path, *, largest: int = LARGEST) -> Picture:
    """Return the picture in a file. Raises ValueError, with words that finish a sentence about the file."""
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise ValueError(f"must be a file that can be read: {error.strerror or type(error).__name__}") from None
    if len(content) > largest:
        raise ValueError(f"is larger than {largest // 1024} KB: make it smaller")
    return _png(content) if content.startswith(PNG_SIGNATURE) else _svg(content)


def _png(content: bytes) -> Picture:
    names = list(_chunks(content))
    if names[:1] != [b"IHDR"] or names[-1] != b"IEND" or b"IDAT" not in names:
        raise ValueError(BROKEN_PNG)
    width, height, _, color = struct.unpack(">IIBB", content[16:26])
    if height < FEWEST_PIXELS or max(width, height) > MOST_PIXELS:
        raise ValueError(f"must be {FEWEST_PIXELS} pixels high or more, and {MOST_PIXELS} or less each way")
    _check_proportions(width, height)
    return Picture(content, "png", width, height, color in {GREY, RGB} and b"tRNS" not in names, adapts=False)


def _chunks(content: bytes) -> Iterator[bytes]:
    """Yield the name of each chunk of a PNG (third edition, §5.3). Raises ValueError if one is damaged."""
    place = len(PNG_SIGNATURE)
    while place < len(content):
        end = place + int.from_bytes(content[place : place + 4]) + 12
        chunk, check = content[place + 4 : end - 4], content[end - 4 : end]
        if end > len(content) or crc32(chunk) != int.from_bytes(check):
            raise ValueError(BROKEN_PNG)
        yield chunk[:4]
        place = end


def _check_proportions(width: float, height: float) -> None:
    if not (0 < width <= 10 * height and 0 < height <= 2 * width and width < FARTHEST):
        raise ValueError("must be at most ten times as wide as high, and at most twice as high as wide")


def _svg(content: bytes) -> Picture:
    reader = _SvgReader()
    try:
        reader.parser.Parse(content, True)  # its end
    except expat.ExpatError as error:
        if not reader.is_svg:
            raise ValueError("must be an SVG or a PNG") from None
        raise ValueError(f"is an SVG that is broken in line {error.lineno}: save it again") from None
    except LookupError:  # an encoding that Python does not know
        raise ValueError("is an SVG in an unknown encoding: save it as UTF-8") from None
    _check_proportions(*reader.size)
    return Picture(content, "svg", *reader.size, opaque=False, adapts=DARK in content)


class _SvgReader:
    """Reads an SVG once, and raises ValueError at the first thing that it may not have."""

    def __init__(self) -> None:
        self.is_svg = False
        self.size = (0.0, 0.0)
        self._style: list[str] | None = None
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._entity
        self.parser.ProcessingInstructionHandler = self._instruction

    def _refuse(self, what: str) -> NoReturn:
        raise ValueError(
            f"has {what} in line {self.parser.CurrentLineNumber}: a picture may only draw. Take it out"
        )

    def _doctype(self, _name: str, _system: str | None, _public: str | None, has_inside: int) -> None:
        if has_inside:  # entities: they may grow without end
            self._refuse("a document type with declarations")

    def _entity(self, *_: object) -> None:
        self._refuse("an entity")

    def _instruction(self, target: str, _data: str) -> None:
        self._refuse(f"an instruction <?{target[:20]}?>")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, element = name.rpartition(" ")
        if not self.is_svg:
            if namespace != SVG or element != "svg":
                raise ValueError("must be an SVG or a PNG")
            self.is_svg = True
            self.size = _size_of(attributes)
        if self._style is not None:  # browsers take the text around it, too
            self._refuse("an element in a <style>")
        if namespace == XHTML or (namespace in {SVG, ""} and element not in SHAPES):
            self._refuse(f"<{element[:20]}>")
        for attribute, value in attributes.items():
            self._check(attribute, value)
        if element == "style":
            self._style = []

    def _check(self, attribute: str, value: str) -> None:
        namespace, _, short = attribute.rpartition(" ")
        if short.lower() == "base":  # it would make references within the picture lead elsewhere
            self._refuse("an address that others begin with")
        if short.lower().startswith("on"):
            self._refuse(f"the event handler {short[:20]}")
        if short.lower() in {"href", "src"} and namespace in {"", XLINK} and not INSIDE.fullmatch(value.strip()):
            self._refuse("a reference to another file")
        if LOADS.search(value) and not (namespace or short == "d"):
            self._refuse(f"something to load in {short[:20]}")

    def _text(self, text: str) -> None:
        if self._style is not None:
            self._style.append(text)

    def _end(self, name: str) -> None:
        if self._style is not None and name.rpartition(" ")[2] == "style":
            if LOADS.search("".join(self._style)):
                self._refuse("a <style> that loads something")
            self._style = None


def _size_of(attributes: dict[str, str]) -> tuple[float, float]:
    """Return width and height, of which only the proportions count. Raises ValueError if nothing gives them."""
    box = re.split(r"[\s,]+", attributes.get("viewBox", "").strip())
    try:
        if len(box) == 4:  # noqa: PLR2004  # x, y, width, height (SVG 2 §8.6)
            return float(box[2]), float(box[3])
    except ValueError:
        pass
    sides = [SIZE.fullmatch(attributes.get(name, "")) for name in ("width", "height")]
    if not all(sides):
        raise ValueError('must say its size: <svg viewBox="0 0 120 40" …>')
    width, height = (float(side[1]) for side in sides if side)
    return width, height
