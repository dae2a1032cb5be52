"""Mails under an operator's own name: every kind, by the short way and by the long one."""

import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from mailroom.accounts.tokens import Tokens
from mailroom.bootstrap.services import mail_kinds
from mailroom.mail.rendering.inline_pictures import with_pictures
from mailroom.mail.rendering.renderer import Renderer
from mailroom.settings import Settings
from tests.pictures import png
from tests.unit.accounts.test_mails import row
from tests.unit.settings.test_settings import settings_with

WORDS = {
    "security_notice": {"what": "new_device"},
    "webhook_disabled": {"host": "shop.example", "reason": "gone"},
    "plain": {"subject": "Hello", "text": "A word."},
}
GIVEN = {
    "product_name": "Acme & Söhne",
    "accent_color": "ffd400",
    "support_address": "help@acme.example",
    "privacy_url": "https://acme.example/privacy?a=1&b=2",
    "imprint_url": "https://acme.example/imprint",
    "public_url": "http://127.0.0.1:8000",
}


def made(settings: Settings) -> Renderer:
    kinds = mail_kinds(settings, Tokens(settings.secret_keys))
    product = {"public_url": settings.public_url}
    return Renderer(kinds, mail_from=settings.from_header, product=product, brand=settings.brand)


def read(data: bytes) -> EmailMessage:
    unstuffed = re.sub(rb"(?m)^\.", b"", data)
    message = message_from_bytes(unstuffed, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def body(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found
    return str(found.get_content()).replace("\r\n", "\n")


def kinds_of(settings: Settings) -> list[str]:
    kinds = mail_kinds(settings, Tokens(settings.secret_keys))
    return [kind.name for kind in kinds if kind.name != "message"]


@pytest.fixture
def logo(tmp_path: Path) -> Path:
    file = tmp_path / "logo.png"
    file.write_bytes(png(64, 64))
    return file


def test_every_mail_bears_the_name_the_logo_the_colour_and_the_links(logo: Path) -> None:
    settings = settings_with(**GIVEN, logo=str(logo))
    renderer = made(settings)
    for kind in kinds_of(settings):
        mail = row(kind, **WORDS.get(kind, {}))
        envelope, long_way = renderer.render(mail), renderer.render_the_long_way(mail)
        message, expected = read(envelope.data), read(long_way.data)
        parts = ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
        assert [part.get_content_type() for part in message.walk()] == parts
        assert [part.get_content_type() for part in expected.walk()] == parts
        text, html = body(message, "plain"), body(message, "html")
        assert (text, html) == (body(expected, "plain"), body(expected, "html")), kind
        assert text.endswith(
            "\n\nAcme & Söhne\nhelp@acme.example\nPrivacy: https://acme.example/privacy?a=1&b=2\n"
            "Imprint: https://acme.example/imprint\n"
        )
        assert 'href="https://acme.example/privacy?a=1&amp;b=2"' in html
        assert 'href="mailto:help@acme.example"' in html
        picture = list(message.walk())[-1]
        assert picture.get_content() == png(64, 64)
        assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html
        assert picture["Content-Disposition"] == 'inline; filename="logo.png"'
        assert "#1d4f9e" not in html
        assert str(message["From"]) == "Acme & Söhne <hello@mailroom.example>"
        said = re.sub(r"https?://\S+", "", f"{message['Subject']}\n{text}\n{html}")
        assert "127.0.0.1" not in said
        assert "Mailroom" not in said
        assert max(map(len, envelope.data.split(b"\r\n"))) <= 79, "78 and a stuffed dot (RFC 5322 §2.1.1)"


def test_a_mail_with_a_logo_is_still_compiled(logo: Path) -> None:
    settings = settings_with(**GIVEN, logo=str(logo))
    renderer, mail = made(settings), row("confirm_sign_up")
    kind = renderer._kinds[mail.kind]
    words: dict[str, Any] = {**renderer._product, **mail.params, **kind.variables(mail)}
    assert renderer._short_way(mail, kind, words) is not None


@pytest.mark.parametrize(
    ("public_url", "name"),
    [("http://127.0.0.1:8000", "Mailroom"), ("https://mail.example.org:8443", "mail.example.org")],
)
def test_without_a_name_mails_say_the_host_and_never_an_ip_address_or_a_port(public_url: str, name: str) -> None:
    settings = settings_with(public_url=public_url)
    for kind in kinds_of(settings):
        message = read(made(settings).render(row(kind, **WORDS.get(kind, {}))).data)
        said = f"{message['Subject']}\n{body(message, 'plain')}\n{body(message, 'html')}"
        assert not re.search(r"127\.0\.0\.1|:8443", re.sub(r"https?://\S+", "", said)), kind
        assert [part.get_content_type() for part in message.walk()][2:] == ["text/html"], "no picture"
        assert not re.search("Privacy|Imprint|mailto:", said)
    confirm = read(made(settings).render(row("confirm_sign_up")).data)
    assert confirm["Subject"] == f"Please confirm your address for {name}"


def test_the_links_are_translated(pseudo: str, unmarked: Callable[[str], list[str]]) -> None:
    settings = settings_with(**GIVEN)
    mail = row("no_account")._replace(language=pseudo)
    text = body(read(made(settings).render(mail).data), "plain")
    names = re.compile(r"\S+://\S+|\S+@\S+|Acme & Söhne|Firefox on Linux|[A-Z][a-z]{2} \d{4}|\s")
    assert [piece for piece in unmarked(text) if names.sub("", piece)] == []


def test_pictures_that_a_mail_brings_along_are_shown_from_it() -> None:
    message = EmailMessage()
    message.set_content("x")
    message.add_alternative('<img src="cid:a@x"><img src="cid:b@x"><p>cid:a@x</p>', subtype="html")
    part = list(message.iter_parts())[1]
    assert isinstance(part, EmailMessage)
    part.add_related(b"picture", "image", "png", cid="<a@x>")
    part.add_related(b"<svg/>", "image", "svg+xml", cid="<b@x>")
    shown = with_pictures(message, '<img src="cid:a@x"><img src="cid:b@x"><p>cid:a@x</p>')
    assert shown == '<img src="data:image/png;base64,cGljdHVyZQ=="><img src="cid:b@x"><p>cid:a@x</p>'
