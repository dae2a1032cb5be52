from pathlib import Path

import pytest

from mailroom.kit.pictures import read_picture
from tests.pictures import CIRCLE, WORDMARK, png

SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
SVG = f'<svg {SPACES} viewBox="0 0 8 8">\n{{}}\n</svg>'
INKSCAPE = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg width="120px" height="40" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 inkscape:export-filename="C:\\logo.png">
<metadata><rdf:RDF><rdf:Description rdf:about="http://example.org"/></rdf:RDF></metadata>
<style>.a { fill: url(#g) } @media (prefers-color-scheme: dark) { .a { fill: #fff } }</style>
<defs><linearGradient id="g"><stop offset="0" style="stop-color:#7a1fa2"/></linearGradient></defs>
<g class="a" clip-path="url( '#c' )"><path d="M0 0h9z"/><use xlink:href="#p"/></g>
<image href="data:image/png;base64,iVBORw0KGgo=" width="8" height="8"/></svg>"""


def problem_of(folder: Path, content: str | bytes) -> str:
    file = folder / "logo"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # its words are what the tests look at
        read_picture(file)
    return str(refused.value)


def test_png_and_svg_are_told_by_their_content_and_measured(tmp_path: Path) -> None:
    for name, content, kind, size, wide, ground in (
        ("a.svg", png(64, 32), "png", (64, 32), False, True),
        ("b", png(96, 32, (1, 2, 3)), "png", (96, 32), True, False),
        ("c.png", CIRCLE.encode(), "svg", (40, 40), False, True),
        ("d", WORDMARK.encode(), "svg", (200, 40), True, True),
        ("e", INKSCAPE.encode(), "svg", (120, 40), True, False),
    ):
        (tmp_path / name).write_bytes(content)
        picture = read_picture(tmp_path / name)
        assert (picture.kind, (picture.width, picture.height)) == (kind, size)
        assert (picture.is_wide, picture.needs_ground) == (wide, ground), name
        assert picture.content == content, "it is shown as it is"
    assert read_picture(tmp_path / "d").fitted(180, 36) == (180, 36)
    assert read_picture(tmp_path / "c.png").fitted(180, 36) == (36, 36)


@pytest.mark.parametrize(
    ("inside", "what"),
    [
        ("<script>alert(1)</script>", "<script>"),
        ("<g>\n<script href='x.js'/></g>", "<script>"),
        ('<g onload="alert(1)"/>', "the event handler onload"),
        ('<g OnClick="alert(1)"/>', "the event handler OnClick"),
        ("<foreignObject><p>x</p></foreignObject>", "<foreignObject>"),
        ('<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>', "<script>"),
        ('<a href="javascript:alert(1)"><path d=""/></a>', "<a>"),
        ('<image href="https://elsewhere.example/pixel.png"/>', "a reference to another file"),
        ('<image xlink:href="//elsewhere.example/pixel.png"/>', "a reference to another file"),
        ('<image href="data:image/svg+xml;base64,PHN2Zz4="/>', "a reference to another file"),
        ('<use href="other.svg#a"/>', "a reference to another file"),
        ('<use href="javascript:alert(1)"/>', "a reference to another file"),
        ('<g xml:base="https://elsewhere.example/"><use href="#a"/></g>', "an address that others begin with"),
        ("<style>@import 'https://elsewhere.example/a.css';</style>", "a <style> that loads something"),
        ("<style>g { fill: url(https://elsewhere.example/a) }</style>", "a <style> that loads something"),
        ("<style>g { fill: \\75rl(https://elsewhere.example/a) }</style>", "a <style> that loads something"),
        (
            "<style><style/>@import 'https://elsewhere.example/a.css';</style>",
            "an element in a <style>",
        ),
        (
            "<style><x:nostyle xmlns:x='https://x.example'/>@import 'https://elsewhere.example/a.css';</style>",
            "an element in a <style>",
        ),
        ("<style>@im<!-- x -->port 'https://elsewhere.example/a.css';</style>", "a <style> that loads something"),
        ("<g style=\"fill:url( '//elsewhere.example')\"/>", "something to load in style"),
        ('<g fill="url(//elsewhere.example#a)"/>', "something to load in fill"),
        ('<set attributeName="href" to="javascript:alert(1)"/>', "<set>"),
        ('<animate attributeName="href" values="javascript:alert(1)"/>', "<animate>"),
        ('<?xml-stylesheet href="https://elsewhere.example/a.css"?>', "an instruction <?xml-stylesheet?>"),
    ],
)
def test_an_svg_that_does_more_than_draw_is_refused_with_the_line(tmp_path: Path, inside: str, what: str) -> None:
    line = 3 if inside.startswith("<g>\n") else 2
    words = problem_of(tmp_path, SVG.format(inside))
    assert words == f"has {what} in line {line}: a picture may only draw. Take it out"


def test_entities_do_not_grow(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + SVG.format("<text>&b;</text>")
    assert problem_of(tmp_path, bomb).startswith("has a document type with declarations in line 1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "must be an SVG or a PNG"),
        (b"GIF89a", "must be an SVG or a PNG"),
        (b"\xff\xd8\xff\xe0", "must be an SVG or a PNG"),
        (b"<html><body/></html>", "must be an SVG or a PNG"),
        (b"<svg><path/></svg>", "must be an SVG or a PNG"),
        (SVG.format("<g>").encode(), "is an SVG that is broken in line 3: save it again"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'must say its size: <svg viewBox="0 0 120 40" \u2026>'),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 nan 4"/>', "must be at most ten times as wide"),
        (png()[:40], "is a PNG that is broken: save it again"),
        (png()[:-12], "is a PNG that is broken: save it again"),
        (png()[:20] + b"x" + png()[21:], "is a PNG that is broken: save it again"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG that is broken: save it again"),
        (png(8, 8), "must be 16 pixels high or more"),
        (png(400, 20), "must be at most ten times as wide as high, and at most twice as high as wide"),
        (b"x" * (128 * 1024 + 1), "is larger than 128 KB: make it smaller"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_plain_words(tmp_path: Path, content: bytes, words: str) -> None:
    assert problem_of(tmp_path, content).startswith(words)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a file that can be read: No such file"):
        read_picture(tmp_path / "none.svg")
