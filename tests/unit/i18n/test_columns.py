from mailroom.i18n.columns import padded, places


def test_a_chinese_character_takes_two_places() -> None:
    assert (places("Zoë"), places("状态"), places("")) == (3, 4, 0)
    assert padded("状态", 6) + "|" == "状态  |" and padded("too long", 3) == "too long"
