import pytest
from hypothesis import given
from hypothesis import strategies as st

from authapp.domain.colours import contrast, nearest_shade

COLOURS = st.binary(min_size=3, max_size=3).map(lambda channels: f"#{channels.hex()}")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21),
        ("#ffffff", "#ffffff", 1),
        # Those that WebAIM's and others' checkers give.
        ("#767676", "#ffffff", 4.54),
        ("#777777", "#ffffff", 4.48),
        ("#ff0000", "#ffffff", 4.00),
        ("#0000ff", "#ffffff", 8.59),
        ("#00ff00", "#000000", 15.30),
    ],
)
def test_contrast_is_that_of_wcag(one, other, expected):
    assert contrast(one, other) == pytest.approx(expected, abs=0.005)


@given(COLOURS, COLOURS)
def test_contrast_is_the_same_both_ways_and_never_out_of_its_range(one, other):
    assert contrast(one, other) == contrast(other, one)
    assert 1 <= contrast(one, other) <= 21


@given(COLOURS, st.sampled_from(["#ffffff", "#f1f2f2", "#000000", "#18221e"]))
def test_nearest_shade_can_be_read_and_is_the_colour_itself_if_that_can(colour, ground):
    shade = nearest_shade(colour, ground, 4.5)

    assert contrast(shade, ground) >= 4.5
    assert (shade == colour) is (contrast(colour, ground) >= 4.5)


@pytest.mark.parametrize(
    ("colour", "ground", "expected"), [("#ff0000", "#ffffff", "r"), ("#000080", "#000000", "b")]
)
def test_nearest_shade_keeps_the_hue(colour, ground, expected):
    red, green, blue = bytes.fromhex(nearest_shade(colour, ground, 4.5)[1:])

    assert {"r": red > green == blue, "b": blue > red == green}[expected]


def test_no_shade_is_made_up_where_there_is_none():
    with pytest.raises(ValueError, match="no shade has a contrast of 7 with"):
        nearest_shade("#ff0000", "#777777", 7)
