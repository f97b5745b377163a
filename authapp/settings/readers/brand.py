"""What a site looks like: its logo, and colours that can be read on its pages."""

import re
from contextlib import suppress
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from authapp.domain.colours import contrast, nearest_shade
from authapp.domain.pictures import Picture
from authapp.domain.theme import DARK_GROUND, LIGHT_GROUND, MINIMUM_CONTRAST

MAXIMUM_LOGO = 100 * 1024
_COLOUR = re.compile(r"#[0-9a-f]{6}")


def read_logo(text: str) -> Picture:
    file = _file_at(text)
    if file is None:
        raise ValueError("an absolute path (%(here)s is the ini file's folder), or PACKAGE:PATH")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"a file that can be read: {error.strerror}") from None
    if len(content) > MAXIMUM_LOGO:
        limit = f"{MAXIMUM_LOGO // 1024} KiB"
        raise ValueError(f"a file of at most {limit}: it has {len(content)} bytes")
    picture = Picture.of(content)
    if picture is None:
        raise ValueError("a picture in SVG, PNG or WebP")
    return picture


def _file_at(text: str) -> Traversable | None:
    if Path(text).is_absolute():
        return Path(text)
    package, separator, path = text.partition(":")
    if not separator or not path:
        return None
    # An importable name, or none at all: "", "..shop", "no such package".
    with suppress(ImportError, ValueError, TypeError):
        return files(package).joinpath(path)
    raise ValueError(f"in a package that can be imported: {package}")


def read_accent(text: str) -> str:
    return _read_colour(text, "light", LIGHT_GROUND)


def read_accent_dark(text: str) -> str:
    return _read_colour(text, "dark", DARK_GROUND)


def _read_colour(text: str, pages: str, ground: str) -> str:
    colour = text.lower()
    if not _COLOUR.fullmatch(colour):
        raise ValueError("a colour such as #0b6e4f")
    ratio = contrast(colour, ground)
    if ratio < MINIMUM_CONTRAST:
        nearest = nearest_shade(colour, ground, MINIMUM_CONTRAST)
        # Rounded down, so that no ratio that is refused looks like one that would do.
        raise ValueError(
            f"readable on {pages} pages: its contrast with {ground} is "
            f"{int(ratio * 100) / 100:.2f}:1, and {MINIMUM_CONTRAST}:1 is needed. "
            f"The nearest shade that has it is {nearest}"
        )
    return colour
