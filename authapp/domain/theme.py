"""The colours that an operator chooses, and those that follow from them."""

from dataclasses import dataclass

from authapp.domain.colours import contrast, nearest_shade

# The darkest of what a colour stands on by light in static/site.css, and the lightest by dark: what
# can be read on these can be read on all. A tint of the colour itself is reckoned in.
LIGHT_GROUND = "#f1f2f2"
DARK_GROUND = "#18221e"

# WCAG 2.2 success criterion 1.4.3, for text of any size: links are text.
MINIMUM_CONTRAST = 4.5
# What is derived need not be as close to the edge as what somebody has chosen.
_DERIVED_CONTRAST = 7.0

DEFAULT_ACCENT = "#0b6e4f"
_DEFAULT_ACCENT_DARK = "#5fd6a7"
_ON_ACCENT = ("#ffffff", "#05241a")


@dataclass(frozen=True, slots=True)
class Theme:
    """The colour of buttons, links and focus rings, and of the text on it, by light and by dark."""

    accent: str
    on_accent: str
    accent_dark: str
    on_accent_dark: str

    @classmethod
    def of(cls, accent: str | None, accent_dark: str | None) -> "Theme":
        """Of what was chosen; an accent alone gets a lighter twin of its own hue for dark pages."""
        if accent_dark is None:
            accent_dark = _twin(accent) if accent else _DEFAULT_ACCENT_DARK
        accent = accent or DEFAULT_ACCENT
        return cls(accent, _readable_on(accent), accent_dark, _readable_on(accent_dark))


def _twin(accent: str) -> str:
    return nearest_shade(accent, DARK_GROUND, _DERIVED_CONTRAST)


def _readable_on(colour: str) -> str:
    return max(_ON_ACCENT, key=lambda text: contrast(text, colour))
