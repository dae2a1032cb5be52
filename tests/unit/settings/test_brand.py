"""The operator's own name, logo and colour."""

import re
from pathlib import Path
from typing import Any

import pytest

from mailroom.bootstrap.services import create_services
from mailroom.ops.doctor.branding import check, notes
from mailroom.settings import SettingsError
from mailroom.settings.brand import BLUE, DARK_GROUNDS, LIGHT_GROUNDS, PLAIN, Accent
from tests.pictures import CIRCLE, WORDMARK, png
from tests.unit.settings.test_settings import problem_with, settings_with

SOURCE = Path(__file__).parents[3] / "src" / "mailroom"


@pytest.mark.parametrize(
    ("public_url", "product", "name", "site", "label"),
    [
        ("https://mail.example.org", "", "Mailroom", "mail.example.org", "Mailroom mail.example.org"),
        (
            "https://xn--bcher-kva.example:8443",
            "",
            "Mailroom",
            "b\u00fccher.example",
            "Mailroom b\u00fccher.example",
        ),
        ("http://127.0.0.1:8000", "", "Mailroom", "Mailroom", "Mailroom"),
        ("http://[2001:db8::1]:8000", "", "Mailroom", "Mailroom", "Mailroom"),
        ("http://localhost:8000", "", "Mailroom", "Mailroom", "Mailroom"),
        ("http://127.0.0.1:8000", " Acme   Post ", "Acme Post", "Acme Post", "Acme Post"),
    ],
)
def test_pages_and_mails_have_a_name_that_people_know(
    public_url: str, product: str, name: str, site: str, label: str
) -> None:
    brand = settings_with(public_url=public_url, product_name=product).brand
    assert (brand.name, brand.site, brand.label) == (name, site, label)


def test_without_these_settings_nothing_is_different() -> None:
    brand = settings_with(public_url="http://localhost").brand
    assert brand == PLAIN
    assert not brand.accent.is_own
    assert not brand.links


@pytest.mark.parametrize(
    ("mail_from", "header"),
    [
        ("hello@example.org", "Acme Post <hello@example.org>"),
        ("The shop <hello@example.org>", "The shop <hello@example.org>"),
    ],
)
def test_mails_come_from_the_name_where_mail_from_has_none(mail_from: str, header: str) -> None:
    assert settings_with(product_name="Acme Post", mail_from=mail_from).from_header == header
    assert settings_with(mail_from="hello@example.org").from_header == "hello@example.org"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"product_name": "Acme: Post"}, "PRODUCT_NAME must be a name on one line, without a colon"),
        ({"product_name": "A\u200eB"}, "PRODUCT_NAME must be a name on one line"),
        ({"product_name": "x" * 41}, "PRODUCT_NAME must have 40 characters or fewer."),
        ({"logo": "/etc/passwd"}, "LOGO must be an SVG or a PNG."),
        ({"logo": "none.svg"}, "LOGO must be a file that can be read: No such file or directory."),
        ({"accent_color": "purple"}, "ACCENT_COLOR must be a colour in hexadecimals: #7a1fa2."),
        ({"support_address": "help"}, "SUPPORT_ADDRESS must be a mail address alone: help@example.org."),
        ({"support_address": "a@b.c?bcc=m@example.net"}, "SUPPORT_ADDRESS must be a mail address alone"),
        ({"support_address": "Help <help@example.org>"}, "SUPPORT_ADDRESS must be a mail address alone"),
        ({"privacy_url": "javascript:alert(1)"}, "PRIVACY_URL must be the address of a page"),
        ({"imprint_url": "example.org/imprint"}, "IMPRINT_URL must be the address of a page"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(changes: dict[str, str], words: str) -> None:
    assert problem_with(**changes).startswith(words)


def test_a_logo_that_could_do_something_stops_the_start_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text(CIRCLE.replace("<circle", "\n<script/><circle"))
    told = problem_with(logo=str(tmp_path / "logo.svg"))
    assert told == "LOGO has <script> in line 2: a picture may only draw. Take it out."


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        settings_with(product_name=":", accent_color="x", imprint_url="x")
    assert [problem.split()[0] for problem in refused.value.problems] == [
        "PRODUCT_NAME",
        "ACCENT_COLOR",
        "IMPRINT_URL",
    ]


def test_the_grounds_are_those_of_pages_and_mails() -> None:
    css = (SOURCE / "web" / "static" / "mailroom.css").read_text()
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", part)) for part in css.split("@media", 2)[:2])
    mails = (SOURCE / "mail" / "templates" / "layout.html").read_text()
    in_mails = re.findall(r"\.(?:page|card) \{ background-color: (#\w+)", mails)
    assert {light[name] for name in ("paper", "sheet", "sunk")} | {"#ffffff", "#f4f5f3"} == set(LIGHT_GROUNDS)
    assert {dark[name] for name in ("paper", "sheet", "sunk")} | set(in_mails) == set(DARK_GROUNDS)
    assert (light["blue"], dark["blue"]) == (BLUE.light, BLUE.dark)


@pytest.mark.parametrize(
    ("color", "tells"),
    [
        *(("#7a1fa2", True), ("#1d4f9e", True), ("#0097a7", True)),
        *(("#d81b60", False), ("#e53935", False), ("#ffb300", False), ("#2e7d32", False), ("#555555", False)),
    ],
)
def test_no_colour_of_an_operator_is_taken_for_a_state(color: str, tells: bool) -> None:
    assert Accent.of(color).tells_states_apart is tells


def test_mails_carry_a_png_and_of_an_svg_the_one_beside_it(tmp_path: Path) -> None:
    svg, beside = tmp_path / "logo.svg", tmp_path / "logo.png"
    svg.write_text(WORDMARK)
    assert settings_with(logo=str(svg)).brand.mail_logo is None
    beside.write_bytes(png(128, 32))
    brand = settings_with(logo=str(svg)).brand
    assert brand.logo and brand.mail_logo
    assert (brand.logo.kind, brand.mail_logo.content) == ("svg", png(128, 32))
    beside.write_bytes(b"no picture")
    assert settings_with(logo=str(svg)).brand.mail_logo is None


async def test_authenticator_apps_and_passkeys_bear_the_name_and_no_password_may_be_it() -> None:
    settings = settings_with(product_name="Acme Post", public_url="http://127.0.0.1:8000")
    services = create_services(settings, lambda _ids: None, lambda *_: None, name="test")
    factors: Any = services.factors
    assert factors._totp._issuer == factors._passkeys._name == "Acme Post"
    passwords: Any = services.password_change
    assert {"Acme", "Post"} <= set(passwords._site)


async def test_the_doctor_says_what_became_of_the_settings(tmp_path: Path) -> None:
    assert await check(settings_with()) == []
    (tmp_path / "logo.svg").write_text(WORDMARK)
    given: dict[str, Any] = {
        "product_name": "Acme Post",
        "accent_color": "ffd400",
        "logo": str(tmp_path / "logo.svg"),
    }
    settings = settings_with(**given)
    told = [finding.words for finding in await check(settings)]
    assert told == ["Acme Post, logo.svg, #ffd400", *notes(settings.brand)]
    assert (
        told[1] == "on light pages #ffd400 cannot be read (1.2:1, and 4.5:1 is needed), so links there are #7d6800"
    )
    assert "bars of progress stay blue" in told[2]
    assert "a PNG of at most 32 KB" in told[3]
    assert "without the name beside it" in told[4]
    quiet = settings_with(product_name="Acme Post").brand
    assert notes(quiet) == []
