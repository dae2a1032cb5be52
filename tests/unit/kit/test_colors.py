import pytest
from hypothesis import given
from hypothesis import strategies as some

from mailroom.kit.colors import contrast, hex_color, ink_on, least_contrast, readable_shade

COLORS = some.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
LIGHT, DARK = ("#efe9dc", "#ffffff"), ("#1e2226", "#13161c")


@pytest.mark.parametrize("written", ["#ffaa00", "FFAA00", " #fa0 ", "fa0"])
def test_a_colour_is_read_however_it_is_written(written: str) -> None:
    assert hex_color(written) == "#ffaa00"


@pytest.mark.parametrize("written", ["", "blue", "#ffaa0", "rgb(1, 2, 3)", "#ffaa00;", "#ffaa00aa"])
def test_what_is_no_colour_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="hexadecimals"):
        hex_color(written)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21),
        ("#ffffff", "#767676", 4.54),
        ("#ff0000", "#ffffff", 4.0),
        ("#abcabc", "#abcabc", 1),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.005)


@given(color=COLORS)
def test_every_colour_has_an_ink_and_a_shade_that_can_be_read_on_light_and_on_dark(color: str) -> None:
    assert contrast(ink_on(color), color) >= 4.5
    for grounds in (LIGHT, DARK):
        shade = readable_shade(color, grounds)
        assert least_contrast(shade, grounds) >= 4.5
        if least_contrast(color, grounds) >= 4.5:
            assert shade == color, "what can be read stays as it is"


def test_a_shade_is_no_darker_than_it_must_be() -> None:
    assert readable_shade("#ffd400", LIGHT) == "#7d6800"
    assert least_contrast("#7d6800", LIGHT) < 4.6
