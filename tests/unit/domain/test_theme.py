from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import authapp
from authapp.domain.colours import contrast
from authapp.domain.theme import DARK_GROUND, LIGHT_GROUND, MINIMUM_CONTRAST, Theme

SITE_CSS = Path(authapp.__file__).parent / "static" / "site.css"
COLOURS = st.binary(min_size=3, max_size=3).map(lambda channels: f"#{channels.hex()}")


def test_without_a_choice_it_is_the_one_of_the_stylesheet():
    assert Theme.of(None, None) == Theme("#0b6e4f", "#ffffff", "#5fd6a7", "#05241a")
    tokens = SITE_CSS.read_text("utf-8")
    assert "--brand: #0b6e4f;" in tokens
    assert "--on-brand: #fff;" in tokens
    assert "--brand-dark: #5fd6a7;" in tokens
    assert "--on-brand-dark: #05241a;" in tokens


@pytest.mark.parametrize("accent", ["#6d28d9", "#b3261e", "#000000", "#0000ff"])
def test_accent_alone_gets_a_twin_that_can_be_read_on_dark_pages(accent):
    theme = Theme.of(accent, None)

    assert theme.accent == accent
    assert contrast(theme.accent_dark, DARK_GROUND) >= 7


def test_both_can_be_chosen_and_the_dark_one_alone():
    assert Theme.of("#6d28d9", "#ffcc00").accent_dark == "#ffcc00"
    assert Theme.of(None, "#ffcc00").accent == "#0b6e4f"


@given(COLOURS, COLOURS)
def test_text_can_be_read_on_all_that_the_settings_let_in(accent, accent_dark):
    if (
        contrast(accent, LIGHT_GROUND) < MINIMUM_CONTRAST
        or contrast(accent_dark, DARK_GROUND) < MINIMUM_CONTRAST
    ):
        return
    theme = Theme.of(accent, accent_dark)

    assert contrast(theme.accent, theme.on_accent) >= MINIMUM_CONTRAST
    assert contrast(theme.accent_dark, theme.on_accent_dark) >= MINIMUM_CONTRAST
