"""The catalogues that are shipped: whole, with the places and tags of the English."""

import re
from collections.abc import Iterator

import pytest
from babel.messages.catalog import Catalog, Message

from mailroom.i18n import extraction, languages

CATALOGUES = {file.parts[-3]: extraction.read(file) for file in extraction.files()}
PLACE = re.compile(r"%\(\w+\)[sd]|%%|\{\w+(?:!r)?\}")
TAG = re.compile(r"</?\w+[^>]*>")
HAN = "\u3400-\u9fff"
HALF_WIDTH = re.compile(rf"[{HAN}][,;!?](?!\w)|[{HAN}]\.(?=$|\s)|[,;!?][{HAN}]")
"""Latin punctuation in a Chinese sentence, which has its own (GB/T 15834)."""


def pairs(message: Message) -> Iterator[tuple[set[str], str]]:
    """Yield each form of a translation with the English ones that it may stand for."""
    if isinstance(message.id, tuple):
        for form in message.string or ("",):
            yield set(message.id), form
    else:
        yield {str(message.id)}, str(message.string or "")


def problems(catalogue: Catalog) -> list[str]:
    """Return what is wrong, in words."""
    found = []
    for message in catalogue:
        if not message.id:
            continue
        if message.fuzzy:
            found.append(f"a guess: {message.id!r}")
        for english, form in pairs(message):
            if not form.strip():
                found.append(f"a hole: {message.id!r}")
                continue
            # The form for one may spell the number out.
            number = {"%(num)s"} if isinstance(message.id, tuple) else set()
            places = [set(PLACE.findall(one)) for one in english]
            if not any(set(PLACE.findall(form)) - number == one - number for one in places):
                found.append(f"other places: {message.id!r}: {form!r}")
            if not any(sorted(TAG.findall(form)) == sorted(TAG.findall(one)) for one in english):
                found.append(f"other tags: {message.id!r}: {form!r}")
            if not any(edges(form) == edges(one) for one in english):
                found.append(f"other white space around it: {message.id!r}: {form!r}")
    return found


def edges(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def test_german_and_chinese_are_shipped() -> None:
    assert {"de", "zh_Hans"} <= CATALOGUES.keys()
    assert {"en", "de", "zh-Hans"} <= set(languages.shipped())


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_catalogue_is_whole_and_keeps_places_and_tags(name: str) -> None:
    assert problems(CATALOGUES[name]) == []


def test_chinese_has_its_own_punctuation() -> None:
    found = [
        form
        for message in CATALOGUES["zh_Hans"]
        if message.id
        for _, form in pairs(message)
        if HALF_WIDTH.search(form)
    ]
    assert found == []


def test_the_rule_finds_what_it_is_for() -> None:
    catalogue = Catalog(locale="de")
    catalogue.add("Hello %(name)s", "Hallo %(nam)s")
    catalogue.add("<b>Fine</b>", "<b>Gut")
    catalogue.add("Open", "")
    catalogue.add("Save", "Sichern", flags=["fuzzy"])
    catalogue.add(" and ", "und")
    catalogue.add(("%(num)s mail to %(name)s", "%(num)s mails to %(name)s"), ("Eine Mail an %(name)s", "Mails"))
    assert [one.partition(":")[0] for one in problems(catalogue)] == [
        "other places",
        "other tags",
        "a hole",
        "a guess",
        "other white space around it",
        "other places",
    ]
    assert (
        HALF_WIDTH.search("保存,退出")
        and HALF_WIDTH.search("完成.")
        and not HALF_WIDTH.search("完成。见 RFC 5321.")
    )
