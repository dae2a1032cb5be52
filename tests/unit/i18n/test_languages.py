"""Which language is spoken, and how messages are looked up."""

from pathlib import Path

import pytest

from mailroom.i18n import extraction, languages
from mailroom.i18n.messages import gettext, gettext_noop, ngettext


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "shipped", lambda: ("en", "de", "pt-BR", "zh-Hans"))


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        (["de"], "de"),
        (["de-AT", "en"], "de"),
        (["DE_ch"], "de"),
        (["fr", "de"], "de"),
        (["fr-CA", "it"], "en"),
        (["en-GB", "de"], "en"),
        (["zh-Hans-CN"], "zh-Hans"),
        (["zh-CN"], "zh-Hans"),
        (["pt"], "pt-BR"),
        (["*"], "en"),
        (["", "-", "de-" * 200], "de"),
        ([], "en"),
    ],
)
def test_people_get_the_dearest_language_that_is_shipped(wanted: list[str], spoken: str) -> None:
    assert languages.best_of(wanted) == spoken


def test_a_message_is_said_in_the_language_of_the_moment_and_its_parameters_are_filled_in(pseudo: str) -> None:
    said = gettext_noop("Save")
    assert gettext("Hello %(name)s, 100 %%", name="Ann") == "Hello Ann, 100 %"
    with languages.speaking(pseudo):
        assert languages.current() == pseudo
        assert gettext(said) == "Save", "no such message in the catalogue: the source speaks"
    assert languages.current() == "en"


@pytest.mark.parametrize(("number", "said"), [(0, "0 mails"), (1, "1 mail"), (2, "2 mails")])
def test_a_number_chooses_its_form(number: int, said: str) -> None:
    assert ngettext("%(num)s mail", "%(num)s mails", number) == said


def test_a_catalogue_keeps_what_was_translated_and_learns_what_is_new(tmp_path: Path) -> None:
    source = tmp_path / "source" / "templates"
    source.mkdir(parents=True)
    (source / "page.html").write_text(
        "{% trans name=x %}\n  Hello\n  {{ name }}{% endtrans %}{{ _('Old') }}"
        "{% trans n=2 %}One{% pluralize %}{{ n }}{% endtrans %}"
    )
    (source.parent / "code.py").write_text("# Translators: a button\ngettext_noop('Save')\nf(gettext('Save'))\n")
    file = extraction.begin("de", tmp_path / "catalogues")
    catalogue = extraction.update(file, extraction.collect(source.parent))
    assert {str(message.id) for message in catalogue if message.id} == {
        "Hello %(name)s",
        "Old",
        "Save",
        "('One', '%(n)s')",
    }
    assert catalogue.get("Save").auto_comments == ["a button"]
    file.write_text(file.read_text().replace('msgid "Save"\nmsgstr ""', 'msgid "Save"\nmsgstr "Sichern"'))
    (source / "page.html").write_text("{{ _('New') }}")
    again = extraction.update(file, extraction.collect(source.parent))
    assert {str(message.id): message.string or "" for message in again if message.id} == {
        "Save": "Sichern",
        "New": "",
    }
    assert list(extraction.files(tmp_path / "catalogues")) == [file]
    before = file.read_text()
    extraction.update(file, extraction.collect(source.parent))
    assert file.read_text() == before, "nothing new: the file stays as it is"


def test_catalogues_are_up_to_date_and_compiled() -> None:
    """`make messages` was run after the last change of a sentence."""
    messages = extraction.collect()
    for file in extraction.files():
        before, compiled = file.read_bytes(), file.with_suffix(".mo").read_bytes()
        try:
            extraction.update(file, messages)
            assert file.read_bytes() == before, f"run make messages: {file.parts[-3]} is behind"
            assert file.with_suffix(".mo").read_bytes() == compiled, "run make messages"
        finally:
            file.write_bytes(before)
            file.with_suffix(".mo").write_bytes(compiled)
