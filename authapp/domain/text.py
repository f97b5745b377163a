"""Rules for any text that a person sends: what neither a database nor a log line should meet."""

import unicodedata
from collections.abc import Iterator

from authapp.domain.errors import Problem


def is_storable(text: str) -> bool:
    """Whether `text` can be written as UTF-8 to PostgreSQL: no NUL and no lone surrogates."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def has_control_characters(text: str) -> bool:
    """Whether `text` holds line breaks, escapes or other characters that could forge a log line."""
    return any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text)


def line_problems(text: str, maximum: int) -> Iterator[Problem]:
    """What is wrong with `text` as a required single line of at most `maximum` characters."""
    if not text:
        yield Problem("required")
    elif len(text) > maximum:
        yield Problem("too_long", {"maximum": maximum})
    elif not is_storable(text) or has_control_characters(text):
        yield Problem("bad_characters")
