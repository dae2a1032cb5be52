"""The short way of rendering, measured against the long one: the standard library's own message."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from mailroom.i18n import languages
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import Kinds, MailKind, MailRow
from mailroom.mail.rendering.compiled_template import CompiledTemplate, NotPlain
from mailroom.mail.rendering.renderer import BrokenMail, Renderer

BODIES = {
    "plain": (
        "Hello {{ name }}, 100% {{ text }}",
        ".{{ name }}\n{{ text }}{{ text }} end \n.dots\n\n{{ text }}\n.",
        '{% macro b(x) %}<a title="{{ x }}">{{ x }}</a>{% endmacro %}\n<p>{{ name }} = {{ b(text) }}</p>\n'
        + "<p style='x'>" * 8,
    ),
    "endless": ("{{ name }}", "{{ name }}\n{{ text }}", "<p>{{ name }}</p>{{ text }}"),
    "clever": ("Hi {{ name }}", "{% if text %}{{ text }}{% else %}nothing{% endif %}", "<p>{{ text }}</p>"),
    "loud": ("Hi {{ name|upper }}", "{{ text }}", "<p>{{ text }}</p>"),
    "trusting": ("Hi {{ name }}", "{{ text }}", "<p>{{ text|safe }}</p>"),
    "counting": ("Hi {{ name }}", "{{ text|length }}", "<p>{{ text }}</p>"),
}


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    folder = tmp_path_factory.mktemp("templates")
    for kind, parts in BODIES.items():
        (folder / kind).mkdir()
        for name, words in zip(("subject.txt", "body.txt", "body.html"), parts, strict=True):
            (folder / kind / name).write_text(words)
    kinds = Kinds([MailKind(kind, "A mail") for kind in BODIES])
    return Renderer(kinds, mail_from="Zoë at Mailroom <m@example.org>", product={}, templates=folder)


def row(kind: str = "plain", to: str = "alice@example.org", **params: Any) -> MailRow:
    at = datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2)))
    return MailRow(new_id(), kind, to, {"name": "Alice", "text": "", **params}, b"n", at)


def read(data: bytes) -> EmailMessage:
    """Undo what DATA asks for, checking that it is fit for it, and parse."""
    assert data.endswith(b"\r\n.\r\n")
    lines = data.split(b"\r\n")[:-2]
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert not any(line.startswith(b".") and not line.startswith(b"..") for line in lines), "dots are stuffed"
    head, _, body = data.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998, "an address cannot be folded (RFC 5322 §2.1.1)"
    assert max(map(len, body.split(b"\r\n"))) <= 79, "78 and a stuffed dot (RFC 5322 §2.1.1)"
    assert data.isascii()
    unstuffed = b"".join(re.sub(rb"^\.", b"", line) + b"\r\n" for line in lines)
    return message_from_bytes(unstuffed, policy=policy.default)  # type: ignore[return-value]


def as_read(message: EmailMessage) -> dict[str, Any]:
    bodies = {}
    for part in message.iter_parts():
        assert part["Content-Transfer-Encoding"] == "quoted-printable"
        bodies[part.get_content_type()] = part.get_content()
    names = ("Subject", "From", "To", "Message-ID", "Auto-Submitted", "MIME-Version")
    assert sorted(message.keys()) == sorted([*names, "Date", "Content-Type"]), "and no header more"
    assert not message.defects
    when = message["Date"].datetime.astimezone(UTC)
    return {**{name: str(message[name]) for name in names}, "Date": when, **bodies}


WORDS = some.text(some.characters(exclude_categories=("Cs",)), max_size=200) | some.text(
    some.sampled_from(".=% \t&<>\"'\r\näß€😀_?x"), max_size=200
)
ADDRESSES = some.from_regex(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,60}@[a-z0-9.-]{1,40}", fullmatch=True
) | some.sampled_from(
    [
        "zoe@bücher.example",
        "a@b.c\r\nBcc: mallory@example.net",
        '"a b"@example.org',
        "a@b@c.org",
        "x" * 90 + "@b.org",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(name=WORDS, text=WORDS, to=ADDRESSES)
@example(name="x\r\nBcc: mallory@example.net", text="\r\n.\r\nMAIL FROM:<m@example.net>", to="alice@example.org")
@example(name="." * 100, text=".", to="alice@example.org")
@example(name="=?utf-8?q?x?= =?utf-8?q?y?=", text="x" * 998, to="alice@example.org")
@example(name="ends in a space ", text=" " * 80, to="alice@example.org")
def test_what_is_filled_in_reads_as_what_the_standard_library_makes(
    renderer: Renderer, name: str, text: str, to: str
) -> None:
    mail = row(to=to, name=name, text=text)
    try:
        expected = renderer.render_the_long_way(mail)
    except BrokenMail:
        with pytest.raises(BrokenMail):
            renderer.render(mail)
        return
    made = renderer.render(mail)
    assert (made.sender, made.recipient, made.utf8) == (expected.sender, expected.recipient, expected.utf8)
    assert as_read(read(made.data)) == as_read(read(expected.data))


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("text", ["", "0", "<b>Straße & more</b>"])
def test_a_template_that_does_more_than_print_goes_the_long_way(renderer: Renderer, kind: str, text: str) -> None:
    mail = row(kind, name="Ann", text=text)
    made, expected = renderer.render(mail), renderer.render_the_long_way(mail)
    assert as_read(read(made.data)) == as_read(read(expected.data))


def test_only_plain_templates_are_compiled() -> None:
    def write_of(kind: str) -> Any:
        import jinja2

        told = dict(zip(("subject.txt", "body.txt", "body.html"), BODIES[kind], strict=True))
        templates = jinja2.Environment(
            loader=jinja2.DictLoader(told),
            autoescape=jinja2.select_autoescape(["html"]),
            keep_trailing_newline=True,
        )
        return lambda part, words: templates.get_template(part).render(words)

    assert CompiledTemplate(("name", "text"), write_of("plain")).filled({"name": "a", "text": "b"})
    for kind in BODIES.keys() - {"plain"}:
        with pytest.raises((NotPlain, TypeError)):
            CompiledTemplate(("name", "text"), write_of(kind))


def test_the_mails_of_mailroom_are_compiled() -> None:
    """A template with logic would cost sixty times as much; say so here before it is noticed in production."""
    from tests.unit.accounts.test_mails import NAMES, all_kinds
    from tests.unit.accounts.test_mails import row as mail_of

    renderer = Renderer(all_kinds(), mail_from="m@example.org", product={"public_url": "https://mail.example.org"})
    for name in NAMES:
        mail = mail_of(name)
        words = {"public_url": "https://mail.example.org", **mail.params, **all_kinds()[name].variables(mail)}
        assert renderer._short_way(mail, all_kinds()[name], words) is not None
        assert as_read(read(renderer.render(mail).data)) == as_read(read(renderer.render_the_long_way(mail).data))


def test_the_mails_of_mailroom_are_compiled_in_each_language_and_all_of_them_is_translated(
    pseudo: str, unmarked: Callable[[str], list[str]]
) -> None:
    from tests.unit.accounts.test_mails import NAMES, all_kinds
    from tests.unit.accounts.test_mails import row as mail_of

    product = {"public_url": "https://mail.example.org"}
    renderer = Renderer(all_kinds(), mail_from="m@example.org", product=product)
    for name in NAMES:
        mail = mail_of(name)._replace(language=pseudo)
        with languages.speaking(pseudo):
            words = {**product, **mail.params, **all_kinds()[name].variables(mail)}
            assert renderer._short_way(mail, all_kinds()[name], words) is not None
            told = as_read(read(renderer.render(mail).data))
        pieces = [
            told["Subject"],
            told["text/plain"],
            re.sub(r"<style.*?</style>|<[^>]+>", "\n", told["text/html"], flags=re.DOTALL),
        ]
        ours = re.compile(r"\S+://\S+|\S+@\S+|[A-Z0-9]{4}-[A-Z0-9]{4}|mail\.example\.org|&nbsp;|\s")
        left = [piece for text in pieces for piece in unmarked(text) if ours.sub("", piece)]
        assert left == [], name
        english = as_read(read(renderer.render(mail._replace(language=None)).data))
        assert "⟦" not in english["text/plain"], "and English is English again"
