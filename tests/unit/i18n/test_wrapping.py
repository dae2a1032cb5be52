"""Lines of plain text in Latin and Chinese."""

import textwrap

from hypothesis import given
from hypothesis import strategies as st

from mailroom.i18n.wrapping import filled

WORDS = st.lists(st.text("abc-.,%()\ue002", min_size=1, max_size=90), min_size=1, max_size=40)


@given(WORDS)
def test_latin_text_is_wrapped_as_the_standard_library_wraps_it(words: list[str]) -> None:
    text = " ".join(words)
    assert filled(text, 72) == textwrap.fill(text, 72, break_long_words=False, break_on_hyphens=False)


def test_chinese_text_is_wrapped_between_characters_but_not_before_a_full_stop() -> None:
    text = "如果不是您本人操作，请忽略这封邮件。" * 3  # noqa: RUF001
    lines = filled(text, 20).split("\n")
    assert "".join(lines) == text
    assert all(len(line) <= 10 for line in lines)
    assert not any(line[0] in "，。" for line in lines)  # noqa: RUF001


def test_a_link_and_a_word_in_latin_letters_stay_whole() -> None:
    assert filled("请打开 https://mail.example.org/confirm/abc 这个链接", 20).split("\n") == [
        "请打开",
        "https://mail.example.org/confirm/abc",
        "这个链接",
    ]
