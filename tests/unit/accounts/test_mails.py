import os
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from mailroom.accounts.mails import kinds
from mailroom.accounts.tokens import NEW_PASSWORD, NOT_ME, Tokens
from mailroom.i18n.languages import shipped
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import Kinds, MailRow
from mailroom.mail.rendering.renderer import Renderer
from mailroom.progress.sentence import Sentence

TOKENS = Tokens(["k" * 40])
NAMES = ["confirm_sign_up", "already_have_account", "new_password", "no_account"]


def all_kinds(hours: int = 48) -> Kinds:
    host = "mail.example.org"
    settings = SimpleNamespace(
        public_url=f"https://{host}", brand=SimpleNamespace(site=host), confirmation_hours=hours
    )
    return Kinds(kinds(TOKENS, settings))


def row(kind: str, recipient: str = "alice@example.org", **params: str) -> MailRow:
    params = {"sign_up": str(new_id()), "browser": "Firefox on Linux", **params}
    return MailRow(new_id(), kind, recipient, params, os.urandom(16), datetime(2026, 11, 24, 9, 5, tzinfo=UTC))


def rendered(mail: MailRow, hours: int = 48) -> EmailMessage:
    renderer = Renderer(all_kinds(hours), mail_from="Mailroom <hello@example.org>", product={})
    received = re.sub(rb"(?m)^\.", b"", renderer.render(mail).data)  # as a server undoes the dots
    message = message_from_bytes(received, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, subtype: str) -> str:
    body = message.get_body((subtype,))
    assert body
    return body.get_content().replace("\r\n", "\n")


def test_both_mails_of_a_form_have_one_title_so_that_nobody_who_watches_can_tell_them_apart() -> None:
    forms = list(all_kinds())[:4]
    assert [kind.name for kind in forms] == NAMES
    codes = [kind.title.code for kind in forms if isinstance(kind.title, Sentence)]
    assert codes == ["title.sign_up_mail"] * 2 + ["title.password_mail"] * 2
    assert {(kind.on_uncertain, kind.expires_after) for kind in forms} == {
        ("resend", all_kinds()[NAMES[0]].expires_after)
    }


def test_the_confirmation_holds_link_and_code_in_text_and_html_and_says_who_asked() -> None:
    mail = row("confirm_sign_up")
    message = rendered(mail)
    link = f"https://mail.example.org/confirm/{TOKENS.token(mail.id, mail.nonce)}"
    code = TOKENS.code(mail.id, mail.nonce)
    assert message["Subject"] == "Please confirm your address for mail.example.org"
    text, html = part(message, "plain"), part(message, "html")
    assert f"\n{link}\n" in text
    assert code in text
    assert html.count(link) == 3, "button, plain link, and where it leads"
    assert code in html
    for words in (text, html):
        flat = " ".join(words.split())
        assert "Firefox on Linux" in flat
        assert "24 Nov 2026, 09:05 UTC" in flat
        assert "If it was not you, do nothing" in flat
        assert "2 days" in flat


@pytest.mark.parametrize(("hours", "words"), [(1, "1 hour"), (24, "1 day"), (36, "36 hours"), (72, "3 days")])
def test_how_long_link_and_code_work_is_said_in_words(hours: int, words: str) -> None:
    text = part(rendered(row("confirm_sign_up"), hours), "plain")
    assert f"The link works for {words}, the code for 1 hour." in " ".join(text.split())


def test_the_owner_of_an_account_is_sent_to_sign_in_and_gets_no_token() -> None:
    mail = row("already_have_account")
    message = rendered(mail)
    for subtype in ("plain", "html"):
        words = part(message, subtype)
        assert "https://mail.example.org/sign-in" in words
        assert "/confirm/" not in words
        assert TOKENS.code(mail.id, mail.nonce) not in words
        assert "Nothing has changed" in words


def test_the_link_to_a_new_password_is_in_text_and_html_and_for_nothing_else() -> None:
    mail = row("new_password")
    token = TOKENS.token(mail.id, mail.nonce, NEW_PASSWORD)
    message = rendered(mail)
    text, html = part(message, "plain"), part(message, "html")
    assert f"\nhttps://mail.example.org/new-password/{token}\n" in text
    assert html.count(token) == 3, "button, plain link, and where it leads"
    assert token != TOKENS.token(mail.id, mail.nonce)
    assert "works for 10 minutes, and only once" in text


def test_an_address_without_an_account_gets_no_token() -> None:
    mail = row("no_account")
    for subtype in ("plain", "html"):
        words = part(rendered(mail), subtype)
        assert "https://mail.example.org/sign-up" in words
        assert "new-password/" not in words


@pytest.mark.parametrize(
    ("event", "subject"),
    [
        ("password_changed", "Your password was changed"),
        ("new_device", "A new device signed in to your account"),
        ("of a newer version", "Something changed in your account"),
    ],
)
def test_a_security_notice_says_what_happened_and_how_to_undo_it(event: str, subject: str) -> None:
    mail = row("security_notice", event=event)
    message = rendered(mail)
    assert message["Subject"] == subject
    link = f"https://mail.example.org/not-me/{TOKENS.token(mail.id, mail.nonce, NOT_ME)}"
    for subtype in ("plain", "html"):
        words = " ".join(part(message, subtype).split())
        assert link in words
        assert subject in words
        assert "Firefox on Linux" in words and "7 days" in words


@pytest.mark.parametrize("kind", NAMES)
def test_every_attempt_renders_the_same_mail(kind: str) -> None:
    mail = row(kind)
    first, second = rendered(mail), rendered(mail)
    for subtype in ("plain", "html"):
        assert part(first, subtype) == part(second, subtype)


STRANGERS = ["confirm_sign_up", "no_account"]
"""Kinds that go to an address as a stranger wrote it."""


@pytest.mark.parametrize("kind", STRANGERS)
@pytest.mark.parametrize(
    "local",
    [
        "victim+CALL-1-555-0100-NOW",
        "victim+" + "w" * 57,
        "victim+\u0432\u044b\u0438\u0433\u0440\u0430\u043b\u0438",
        "victim+a+b.c_d",
    ],
)
def test_nothing_that_a_stranger_chose_as_a_tag_is_in_a_mail(kind: str, local: str) -> None:
    mail = row(kind, f"{local}@example.org")
    renderer = Renderer(all_kinds(), mail_from="Mailroom <hello@example.org>", product={})
    for envelope in (renderer.render(mail), renderer.render_the_long_way(mail)):
        assert envelope.recipient == f"{local}@example.org"
        message = message_from_bytes(envelope.data, policy=policy.default)
        assert message["To"] == "victim@example.org"
        texts = [str(one) for one in message.values()] + [one.get_content() for one in message.iter_parts()]
        assert not any(local.partition("+")[2] in one for one in texts)


@pytest.mark.parametrize("kind", STRANGERS)
def test_the_body_does_not_name_an_address_that_a_stranger_wrote(kind: str) -> None:
    message = rendered(row(kind, "CALL-1-555-0100@example.org"))
    assert not any("CALL" in part(message, subtype) for subtype in ("plain", "html"))


@pytest.mark.parametrize("kind", ["already_have_account", "new_password"])
def test_an_address_with_markup_stays_text(kind: str) -> None:
    html = part(rendered(row(kind, "a&b'c@example.org")), "html")
    assert "a&amp;b&#39;c@example.org" in html


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", NAMES)
def test_the_html_loads_nothing_follows_nobody_and_closes_what_it_opens(kind: str) -> None:
    html = part(rendered(row(kind)), "html")
    seen = Seen()
    seen.feed(html)
    assert seen.open == []
    assert not {"img", "script", "link", "iframe", "form", "svg"} & set(seen.tags)
    assert "src" not in dict(seen.attributes)
    assert not re.search(r"url\(|@import|background=", html)
    targets = [value or "" for name, value in seen.attributes if name == "href"]
    assert targets
    assert all(target.startswith("https://mail.example.org/") for target in targets)
    assert ("name", "color-scheme") in seen.attributes
    assert ("lang", "en") in seen.attributes
    assert all(("role", "presentation") in seen.attributes for tag in seen.tags if tag == "table")
    assert len(html) < 100_000, "some clients cut longer mails off"


@pytest.mark.parametrize("language", shipped())
@pytest.mark.parametrize("kind", [*NAMES, "security_notice"])
def test_the_text_has_lines_that_fit_every_reader_in_every_language(kind: str, language: str) -> None:
    text = part(rendered(row(kind)._replace(language=language)), "plain")
    if language.startswith(
        "zh"
    ):  # without spaces: each paragraph is one line, which clients break where they like
        assert re.search("[\u4e00-\u9fff]", text) and not re.search("[\u4e00-\u9fff]\n[\u4e00-\u9fff]", text)
        return
    assert all(len(line) <= 78 for line in text.splitlines() if "https://" not in line)


@pytest.mark.parametrize("language", shipped())
@pytest.mark.parametrize("kind", [*NAMES, "security_notice"])
def test_the_short_way_and_the_long_way_say_the_same_in_every_language(kind: str, language: str) -> None:
    mail = row(kind, time_zone="Europe/Berlin")._replace(language=language)
    renderer = Renderer(all_kinds(), mail_from="Mailroom <hello@example.org>", product={})
    short, long = (
        message_from_bytes(re.sub(rb"(?m)^\.", b"", envelope.data), policy=policy.default)
        for envelope in (renderer.render(mail), renderer.render_the_long_way(mail))
    )
    assert short["Subject"] == long["Subject"]
    for one, other in zip(short.iter_parts(), long.iter_parts(), strict=True):
        assert one.get_content().strip() == other.get_content().strip()
    assert f'<html lang="{language}"' in part(rendered(mail), "html")


def test_a_mail_tells_its_times_by_the_clock_of_its_reader() -> None:
    mail = row("no_account", time_zone="Europe/Berlin")
    assert "24 Nov 2026, 10:05 CET" in " ".join(part(rendered(mail), "plain").split())
    german = part(rendered(mail._replace(language="de")), "plain")
    assert "24.11.2026, 10:05 MEZ" in " ".join(german.split())
    assert "24 Nov 2026, 09:05 UTC" in " ".join(part(rendered(row("no_account")), "plain").split())


@pytest.mark.parametrize("event", ["password_reset", "identity_linked"])
@pytest.mark.parametrize("language", ["en", "de", "zh-Hans"])
def test_a_notice_names_the_accounts_of_other_sites_that_sign_in(event: str, language: str) -> None:
    sites = "sso.example.org (alice@example.net), The <staff>"
    notice = row("security_notice", event=event, sites=sites)._replace(language=language)
    assert sites in " ".join(part(rendered(notice), "plain").split())
    assert "The &lt;staff&gt;" in part(rendered(notice), "html")
    before = part(rendered(row("security_notice", event=event)), "plain")  # put by an earlier release
    assert "%(" not in before and "None" not in before
