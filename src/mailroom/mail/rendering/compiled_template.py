"""Templates compiled once for each kind of mail: for each recipient only the values are encoded and filled in.

The templates are rendered once with placeholders for the values. Everything between the placeholders is encoded
then, and never again. Templates can be compiled if they print their values and do nothing else with them.
Values can be filled in if they are one printable line. Everything else goes the long way, through the standard
library.
"""

import os
import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from markupsafe import escape

from mailroom.mail.rendering.inline_pictures import InlinePicture

PARTS = ("subject.txt", "body.txt", "body.html")
Write = Callable[[str, Mapping[str, Any]], str]
"""Renders one of `PARTS` with these values."""

MARK = re.compile("\ue000([ph])(\\d+)\ue001")  # private characters of Unicode: no template of ours has them
MARKUP = re.compile("[&<>'\"]")
SAMPLES = ('<a href="x">&\'é</a> Straße', "Zwei  Wörter, 2 & more: %s {0}")


class NotPlain(Exception):
    """A template does more with a value than print it, so it cannot be compiled."""


class Placeholder:
    """Takes the place of a value while a template is compiled.

    It can be printed, escaped or not; all else raises `NotPlain`.
    """

    def __init__(self, number: int) -> None:
        self._number = number

    def __str__(self) -> str:
        return f"\ue000p{self._number}\ue001"

    def __html__(self) -> str:
        return f"\ue000h{self._number}\ue001"

    def _refuse(self, *_: object) -> NoReturn:
        raise NotPlain

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __len__ = __iter__ = __contains__ = __getitem__ = __add__ = __radd__ = __mod__ = __rmod__ = _refuse
    __mul__ = __rmul__ = __int__ = __float__ = __call__ = __getattr__ = _refuse


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """A text with values in it: a format string, and for each `%s` the value's number and whether to escape it."""

    form: str
    values: tuple[tuple[int, bool], ...]

    def filled(self, values: list[str]) -> str:
        """Return the text with these values filled in."""
        return self.form % tuple(_escaped(values[n]) if as_html else values[n] for n, as_html in self.values)


class CompiledTemplate:
    """The subject and the two bodies of one kind of mail, for values of these names."""

    def __init__(self, names: tuple[str, ...], write: Write, picture: InlinePicture | None = None) -> None:
        """Compile the templates that `write` renders; `picture` is added to HTML that shows it.

        Raises `NotPlain` if the result could differ from theirs.
        """
        self._names = names
        slots = {name: Placeholder(number) for number, name in enumerate(names)}
        subject, text, html = (write(part, slots) for part in PARTS)
        _check(names, (subject, text, html), write)
        self._subject = _form(" ".join(subject.split()))
        # No encoded line can hold "=_" (RFC 2045 §6.7), so none can be taken for the boundary.
        boundary = f"=_{os.urandom(12).hex()}"
        self.content_type = f'multipart/alternative; boundary="{boundary}"'
        pieces = [
            *_part(boundary, "plain", text),
            *(
                _related(boundary, html, picture)
                if picture and picture.is_in(html)
                else _part(boundary, "html", html)
            ),
            f"\r\n--{boundary}--\r\n".encode(),
        ]
        used = list(dict.fromkeys(piece[0] for piece in pieces if isinstance(piece, tuple)))
        self._places = [(n, 2 * place, 2 * place + 1) for place, n in enumerate(used)]
        self._order = [2 * used.index(piece[0]) + piece[1] for piece in pieces if isinstance(piece, tuple)]
        self._last = [("", b"")] * (2 * len(used))  # most values are the same as in the previous mail
        self._content = [b""]  # fixed bytes and values, alternately
        for piece in pieces:
            if isinstance(piece, tuple):
                self._content += [b"", b""]
            else:
                self._content[-1] += piece

    def filled(self, words: Mapping[str, Any]) -> tuple[str, list[bytes]] | None:
        """Return subject and content with these values; None if one of them has to go the long way.

        The content is a list of dot-stuffed pieces, without the final dot.
        """
        plain = []
        for value in map(words.__getitem__, self._names):
            if value.__class__ is not str or not value.isprintable():
                return None
            plain.append(value)
        last = self._last
        for n, as_text, as_html in self._places:
            value = plain[n]
            if last[as_text][0] != value:
                last[as_text] = value, _encoded(value)
                escaped = _escaped(value)
                last[as_html] = last[as_text] if escaped is value else (value, _encoded(escaped))
        content = self._content.copy()
        content[1::2] = [last[place][1] for place in self._order]
        return " ".join(self._subject.filled(plain).split()), content


def _check(names: tuple[str, ...], compiled: tuple[str, ...], write: Write) -> None:
    """Compare with real values: a filter that works on the text of a placeholder goes unnoticed otherwise."""
    for sample in SAMPLES:
        values = [f"{sample} {name}" for name in names]
        for part, text in zip(PARTS, compiled, strict=True):
            if _form(text).filled(values) != write(part, dict(zip(names, values, strict=True))):
                raise NotPlain


def _form(text: str) -> TextTemplate:
    """Return the template of a text with placeholders.

    Raises `NotPlain` if a placeholder was cut or changed.
    """
    values = tuple((int(number), kind == "h") for kind, number in MARK.findall(text))
    form = MARK.sub("%s", text.replace("%", "%%"))
    if "\ue000" in form or "\ue001" in form:
        raise NotPlain
    return TextTemplate(form, values)


def _part(boundary: str, subtype: str, body: str) -> Iterator[bytes | tuple[int, bool]]:
    """Yield a body part: fixed encoded bytes, and between them each value's number and whether to escape it.

    Each value is on an encoded line of its own, between soft line breaks (RFC 2045 §6.7). So its length never
    changes how the text around it is broken into lines.
    """
    yield (
        f'\r\n--{boundary}\r\nContent-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode()
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[-1] and not MARK.sub("", lines[-1]):
        raise NotPlain  # a last line without a line end, which would vanish if its values were empty
    for line in lines if lines[-1] else lines[:-1]:
        open_line = False
        for piece in re.split("(\ue000[ph]\\d+\ue001)", line):
            if not piece:
                continue
            if open_line:
                yield b"=\r\n"
            mark = MARK.fullmatch(piece)
            yield (int(mark[2]), mark[1] == "h") if mark else _encoded(piece)
            open_line = True
        yield b"\r\n"


def _related(boundary: str, html: str, picture: InlinePicture) -> Iterator[bytes | tuple[int, bool]]:
    """Yield HTML and the picture in it as one part (RFC 2387). The picture's bytes are fixed, and encoded once."""
    inner = f"=_{os.urandom(12).hex()}"
    yield (
        f'\r\n--{boundary}\r\nContent-Type: multipart/related; type="text/html";\r\n boundary="{inner}"\r\n'
    ).encode()
    yield from _part(inner, "html", html)
    yield (
        f"\r\n--{inner}\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: inline; filename="logo.png"\r\nContent-ID: <{picture.content_id}>\r\n\r\n'
    ).encode()
    yield encodebytes(picture.content).replace(b"\n", b"\r\n") + f"\r\n--{inner}--\r\n".encode()


def _escaped(text: str) -> str:
    return str(escape(text)) if MARKUP.search(text) else text


def _encoded(text: str) -> bytes:
    """Return a piece of a line in quoted-printable, dot-stuffed (RFC 2045 §6.7, RFC 5321 §4.5.2)."""
    line = b2a_qp(text.encode())
    if b"\n" in line:
        line = line.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
    return b"." + line if line[:1] == b"." else line  # each piece begins a line
