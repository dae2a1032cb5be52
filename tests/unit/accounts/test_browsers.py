from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.accounts.browsers import BROWSERS, SYSTEMS, browser_words, cleaned, described
from mailroom.i18n.languages import speaking

KNOWN = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (KNOWN, "Chrome on Windows"),
        (KNOWN + " Edg/142.0", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26.0 Safari/604.1",
            "Safari on an iPhone",
        ),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/142.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5", "a browser"),
        ("", "a browser"),
    ],
)
def test_a_browser_is_named_in_words(user_agent: str, words: str) -> None:
    assert described(user_agent) == words


@pytest.mark.parametrize("name", ["Safari on an iPhone", "Firefox 145 on Linux", "a browser", ""])
def test_a_stored_name_is_told_in_the_language_of_the_reader(
    name: str, pseudo: str, unmarked: Callable[[str], list[str]]
) -> None:
    assert browser_words(name) == name
    with speaking(pseudo):
        left = unmarked(browser_words(name))
    assert not {"an iPhone", "a browser", "on"} & set(left)


@given(st.text(max_size=400))
def test_mallory_cannot_write_into_alices_mail_through_a_header(user_agent: str) -> None:
    words = {name for _, name in (*BROWSERS, *SYSTEMS)} | {"a browser"}
    assert set(described(user_agent).split(" on ")) <= words
    assert cleaned(user_agent).isprintable()
    assert len(cleaned(user_agent)) <= 300
