"""From a row to bytes."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from mailroom.kit.ids import new_id
from mailroom.mail.kinds import Kinds, MailKind, MailRow
from mailroom.mail.rendering.renderer import BrokenMail, Renderer, deliverable, dot_stuffed


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    folder = tmp_path_factory.mktemp("templates") / "note"
    folder.mkdir()
    (folder / "subject.txt").write_text("Hello {{ name }}")
    (folder / "body.txt").write_text("{{ name }}\n{{ text }}")
    (folder / "body.html").write_text("<p>{{ name }}</p>{{ text }}")
    kinds = Kinds([MailKind("note", "A note")])
    return Renderer(kinds, mail_from="Mailroom <m@example.org>", product={}, templates=folder.parent)


def row(to: str = "alice@example.org", **params: Any) -> MailRow:
    return MailRow(new_id(), "note", to, {"name": "Alice", "text": "", **params}, b"n", datetime.now(UTC))


def read(data: bytes) -> EmailMessage:
    assert data.endswith(b"\r\n.\r\n")
    unstuffed = data[:-3].replace(b"\r\n..", b"\r\n.")
    return message_from_bytes(unstuffed, policy=policy.default)  # type: ignore[return-value]


def test_the_same_row_gives_the_same_message_id(renderer: Renderer) -> None:
    one = row()
    first, second = (read(renderer.render(one).data)["Message-ID"] for _ in range(2))
    assert first == second == f"<{one.id}@example.org>"


def test_html_is_escaped_and_text_is_not(renderer: Renderer) -> None:
    mail = read(renderer.render(row(name="<b>&")).data)
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html and text
    assert "&lt;b&gt;&amp;" in html.get_content()
    assert "<b>&" in text.get_content()


def test_a_subject_cannot_smuggle_in_a_header(renderer: Renderer) -> None:
    mail = read(renderer.render(row(name="x\r\nBcc: mallory@example.net")).data)
    assert mail["Bcc"] is None
    assert "mallory" in mail["Subject"]


def test_an_address_cannot_smuggle_in_a_header(renderer: Renderer) -> None:
    with pytest.raises(BrokenMail):
        renderer.render(row("alice@example.org\r\nBcc: mallory@example.net"))


def test_a_variable_of_a_kind_keeps_no_mail_back(tmp_path: Path) -> None:
    (folder := tmp_path / "note").mkdir()
    for part in ("subject.txt", "body.txt", "body.html"):
        (folder / part).write_text("{{ withheld }} {{ time_zone }}")
    kind = MailKind("note", "A note", variables=lambda _: {"withheld": True, "time_zone": "Mars"})  # type: ignore[dict-item]
    renderer = Renderer(Kinds([kind]), mail_from="M <m@example.org>", product={}, templates=tmp_path)
    envelope = renderer.render(row())
    assert not envelope.withheld
    assert read(envelope.data)["Subject"] == "True Mars"


@pytest.mark.parametrize(
    ("part", "source", "told"),
    [
        ("body.txt", "Hello\n{{ name }},\n{{ nmae }}", "line 3, variable nmae: UndefinedError"),
        ("body.html", "<p>\n{% if person.name %}x{% endif %}", "line 2, variable person: UndefinedError"),
        ("subject.txt", "{{ name.surname.x }}", "line 1, variable surname: UndefinedError"),
        ("body.txt", "{{ {}[name].x }}", "line 1: UndefinedError"),  # the message has the value: it stays here
        ("body.txt", "one\n{{ name / 2 }}", "line 2: TypeError"),
        ("body.txt", "one\n{% if %}", "line 2: TemplateSyntaxError"),
        ("body.html", "{% include 'none.html' %}", None),
    ],
)
def test_a_template_that_fails_tells_its_place_and_the_variable_and_nothing_of_its_words(
    tmp_path: Path, part: str, source: str, told: str | None
) -> None:
    folder = tmp_path / "note"
    folder.mkdir()
    for each in ("subject.txt", "body.txt", "body.html"):
        (folder / each).write_text(source if each == part else "{{ name }}")
    kinds = Kinds([MailKind("note", "A note")])
    renderer = Renderer(kinds, mail_from="Mailroom <m@example.org>", product={}, templates=tmp_path)
    broken = MailRow(new_id(), "note", "a@example.org", {"name": "secret-word"}, b"n", datetime.now(UTC))
    with pytest.raises(BrokenMail) as trouble:
        renderer.render(broken)
    expected = f"template note/{part}, {told}" if told else "template none.html, line 0: TemplateNotFound"
    assert str(trouble.value) == expected


def test_variables_that_cannot_be_made_tell_their_code_and_nothing_of_its_words(tmp_path: Path) -> None:
    def variables(row: MailRow) -> dict[str, str]:
        return {"link": {}[row.params["name"]]}

    kinds = Kinds([MailKind("note", "A note", variables=variables)])
    renderer = Renderer(kinds, mail_from="Mailroom <m@example.org>", product={}, templates=tmp_path)
    with pytest.raises(BrokenMail) as trouble:
        renderer.render(row(name="secret-word"))
    assert re.fullmatch(r"note: KeyError in rendering/test_renderer.py, line \d+", str(trouble.value))


def test_an_international_domain_travels_in_ascii_and_a_local_part_needs_smtputf8(renderer: Renderer) -> None:
    assert deliverable("zoë@bücher.example") == ("zoë@xn--bcher-kva.example", True)
    assert deliverable("zoe@bücher.example") == ("zoe@xn--bcher-kva.example", False)
    assert renderer.render(row("zoë@bücher.example")).utf8


def test_a_mail_goes_to_the_domain_that_was_written_and_no_other(renderer: Renderer) -> None:
    envelope = renderer.render(row("ivy@stra\u00dfe.test"))
    assert envelope.recipient == "ivy@xn--strae-oqa.test"
    assert read(envelope.data)["To"] == "ivy@xn--strae-oqa.test"
    assert renderer.render(row("\u00efvy@stra\u00dfe.test")).recipient == "\u00efvy@xn--strae-oqa.test"
    with pytest.raises(BrokenMail):
        renderer.render(row("ivy@\ufb01re.test"))


@pytest.mark.parametrize(
    ("mail_from", "header", "name", "sender"),
    [
        (
            "B\u00fccher <hallo@b\u00fccher.example>",
            "=?utf-8?q?B=C3=BCcher?= <hallo@xn--bcher-kva.example>",
            "B\u00fccher",
            "hallo@xn--bcher-kva.example",
        ),
        (
            "Mailroom @ Work <m@example.org>",
            '"Mailroom @ Work" <m@example.org>',
            "Mailroom @ Work",
            "m@example.org",
        ),
    ],
)
def test_the_sender_stands_in_header_and_envelope_as_servers_take_it(
    renderer: Renderer, mail_from: str, header: str, name: str, sender: str
) -> None:
    loader = renderer._templates.loader
    folder = Path(loader.searchpath[0])  # type: ignore[union-attr]
    kinds = Kinds([MailKind("note", "A note")])
    other = Renderer(kinds, mail_from=mail_from, product={}, templates=folder)
    one = row()
    for envelope in (other.render(one), other.render_the_long_way(one)):
        assert envelope.sender == sender
        assert f"From: {header}\r\n".encode() in envelope.data
        (address,) = read(envelope.data)["From"].addresses
        assert (address.display_name, address.addr_spec) == (name, sender)
    assert other.message_id(one).endswith(f"@{sender.partition('@')[2]}>")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(text=some.text(some.characters(exclude_categories=("Cs", "Cc")) | some.sampled_from(".\n"), max_size=300))
def test_any_text_arrives_as_it_was_written(renderer: Renderer, text: str) -> None:
    data = renderer.render(row(text=text)).data
    assert max(map(len, data.split(b"\r\n"))) <= 998  # RFC 5322 §2.1.1
    assert b"\n" not in data.replace(b"\r\n", b"")
    body = read(data).get_body(("plain",))
    assert body
    assert body.get_content().replace("\r\n", "\n").rstrip("\n") == f"Alice\n{text}".rstrip("\n")


def test_a_line_that_begins_with_a_dot_is_stuffed() -> None:
    assert dot_stuffed(b".one\r\n..two\r\nthree.\r\n") == b"..one\r\n...two\r\nthree.\r\n.\r\n"
    assert dot_stuffed(b"no end") == b"no end\r\n.\r\n"
