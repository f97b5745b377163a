"""Colours, written as `#rrggbb`, and how well one can be read on another.

The arithmetic is WCAG 2.2's: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
"""

import colorsys

_SHADES = 1000


def contrast(one: str, other: str) -> float:
    """From 1, which cannot be told apart, to 21, which is black on white."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def nearest_shade(colour: str, ground: str, needed: float) -> str:
    """The colour itself, or else the first one of its hue, going away from the ground, that has the
    contrast that is needed. Raises `ValueError` where not even black or white has it."""
    goal = max((0.0, 1.0), key=lambda lightness: contrast(_hex(0, lightness, 0), ground))
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    for step in range(_SHADES + 1):
        shade = _hex(hue, lightness + (goal - lightness) * step / _SHADES, saturation)
        if contrast(shade, ground) >= needed:
            return shade
    raise ValueError(f"no shade has a contrast of {needed} with {ground}")


def _luminance(colour: str) -> float:
    red, green, blue = map(_linear, _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red / 255, green / 255, blue / 255


def _hex(hue: float, lightness: float, saturation: float) -> str:
    channels = colorsys.hls_to_rgb(hue, lightness, saturation)
    return "#" + bytes(round(channel * 255) for channel in channels).hex()
