"""An operator's name, logo and colour in pages, icons and embeds; and nothing of them where they are not set."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from mailroom.web.brand_files import brand_files
from mailroom.web.static_files import static_files
from tests.pictures import CIRCLE, WORDMARK, png
from tests.unit.web.fakes import PASSWORD, TOKEN, settings

GIVEN = {
    "product_name": "Acme & Post",
    "accent_color": "ffd400",
    "support_address": "help@acme.example",
    "privacy_url": "https://acme.example/privacy?a=1&b=2",
    "imprint_url": "https://acme.example/imprint",
}
VISITED = ("/", "/sign-up", "/sign-in", "/confirm", f"/confirm/{TOKEN}", "/new-password", "/nowhere", "/api/docs")


async def text_of(client: Client, path: str) -> str:
    return await (await client.get(path)).get_data(as_text=True)


@pytest.fixture
def acme(make_app: Callable[..., Quart], tmp_path: Path) -> Client:
    (tmp_path / "logo.svg").write_text(CIRCLE)
    return make_app(**GIVEN, logo=tmp_path / "logo.svg").test_client()


async def test_every_page_bears_the_name_the_logo_and_the_links_and_nothing_of_ours(acme: Client) -> None:
    for path in VISITED:
        page = await text_of(acme, path)
        assert "Acme &amp; Post</title>" in page or "<title>Acme &amp; Post" in page, path
        assert re.search(
            r'<img src="/static/brand\.svg\?v=\w+" alt="" width="36" height="36" class="ground">Acme &amp; Post',
            page,
        )
        assert 'href="mailto:help@acme.example"' in page
        assert 'href="https://acme.example/privacy?a=1&amp;b=2"' in page
        assert 'href="https://acme.example/imprint"' in page
        assert re.search(r"/static/mailroom\.css.*\n.*/static/accent\.css\?v=", page)
        if path != "/api/docs":  # which is about the program
            assert "Mailroom" not in re.sub(r"<script.*?</script>|/static/\S+", "", page, flags=re.DOTALL), path


async def test_the_page_of_a_mail_bears_the_name_too(acme: Client) -> None:
    sent = await acme.post("/sign-up", form={"email": "alice@example.org", "password": PASSWORD})
    page = await text_of(acme, sent.headers["Location"])
    assert '<meta name="application-name" content="Acme &amp; Post">' in page
    assert "Mailroom" not in re.sub(r'id="page-words".*?</script>|/static/\S+', "", page, flags=re.DOTALL)
    words = re.findall(r'id="page-words".*?</script>', page, re.DOTALL)
    assert words
    assert "Mailroom" not in words[0]


async def test_a_logo_can_do_nothing_where_somebody_opens_it_alone(acme: Client) -> None:
    answer = await acme.get("/static/brand.svg")
    assert await answer.get_data(as_text=True) == CIRCLE
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    page = await acme.get("/")
    assert "style-src 'self';" in page.headers["Content-Security-Policy"], "no page has inline style for it"
    assert "style=" not in await page.get_data(as_text=True)


async def test_the_sheet_has_the_colour_and_shades_that_can_be_read(acme: Client) -> None:
    sheet = await text_of(acme, "/static/accent.css")
    assert sheet == (
        ":root { --blue: #7d6800; --red: #7d6800; --fill: #ffd400; --fill-ink: #000000; }\n"
        "@media (prefers-color-scheme: dark) { :root "
        "{ --blue: #ffd400; --red: #ffd400; --fill: #ffd400; --fill-ink: #000000; } }\n"
    )


async def test_the_icon_of_the_tab_is_the_logo_with_the_mark_of_the_state(acme: Client) -> None:
    plain, good = await text_of(acme, "/favicon.ico"), await text_of(acme, "/static/favicon-good.svg")
    assert 'href="data:image/svg+xml;base64,' in plain
    assert "<circle" not in plain
    assert '<circle cx="25" cy="24" r="6.500" fill="#fff"/><path d="m22 24.200' in good
    assert good.endswith("</svg>")


def test_a_wide_logo_stands_alone_and_is_no_icon(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text(WORDMARK)
    files = brand_files(settings(logo=tmp_path / "logo.svg").brand)
    assert "brand.svg" in files
    assert "favicon.svg" not in files


async def test_a_wide_logo_takes_the_place_of_the_name(make_app: Callable[..., Quart], tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(png(240, 48))
    page = await text_of(make_app(product_name="Acme", logo=tmp_path / "logo.png").test_client(), "/")
    assert re.search(r'brand\.png\?v=\w+" alt="Acme" width="180" height="36" class="ground">\n', page)


def test_a_colour_alone_colours_our_own_logo_the_icon_and_the_embed() -> None:
    files = {
        name: file.content.decode() for name, file in brand_files(settings(accent_color="7a1fa2").brand).items()
    }
    assert "#1d4f9e" not in files["logo.svg"] + files["favicon.svg"] + files["favicon-moving.svg"]
    assert "#7a1fa2" in files["embed.js"]
    assert "--moving: #7a1fa2; --mailroom-accent: #7a1fa2;" in files["accent.css"]
    red = brand_files(settings(accent_color="e53935").brand)
    assert not {"embed.js", "favicon-moving.svg"} & red.keys(), "red says that a mail failed"
    assert "--moving" not in red["accent.css"].content.decode()


def test_our_files_still_have_what_a_colour_replaces() -> None:
    shipped = {name: file.content.decode() for name, file in static_files().items() if not name.endswith("png")}
    for name in ("logo.svg", "empty.svg", "favicon.svg", "favicon-moving.svg"):
        assert "#1d4f9e" in shipped[name], name
    assert shipped["embed.js"].count("#2563eb") == 1
    dark = brand_files(settings().brand)["dark/mailroom.css"].content.decode()
    assert "prefers-color-scheme" not in dark
    assert "@media all {" in dark
    assert "color-scheme: dark;" in dark


async def test_without_these_settings_pages_are_as_they_were(browser: Client) -> None:
    page = await text_of(browser, "/sign-up")
    assert "<title>Sign up · Mailroom</title>" in page
    assert re.search(r'logo\.svg\?v=\w+" alt="" width="34" height="26">Mailroom\n', page)
    assert "accent.css" not in page
    assert '<nav aria-label="About this site">' not in page
    assert await text_of(browser, "/static/accent.css") == ""
    assert await (await browser.get("/favicon.ico")).get_data() == static_files()["favicon.svg"].content
