"""Rules for any text that a person sends: what neither a database nor a log line should meet."""

import unicodedata
from collections.abc import Iterator

from authapp.domain.errors import Problem

# Unicode's property Bidi_Control (UAX #9): they turn around what stands beside them, also beyond
# the end of the text. No name needs them, as letters have a direction of their own.
_BIDIRECTIONAL_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
# What shows nothing although its category is that of letters, marks or symbols: the grapheme
# joiner, fillers of Hangul, vowels of Khmer, Mongolian and other variation selectors, Braille's
# blank.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
).union(map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0)))


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


def has_bidirectional_controls(text: str) -> bool:
    """Whether `text` holds characters by which it, or what stands beside it, reads differently."""
    return not _BIDIRECTIONAL_CONTROLS.isdisjoint(text)


def is_visible(text: str) -> bool:
    """Whether `text` holds anything but spaces and characters that show nothing of themselves.

    Those are fine within a text: a joiner (U+200D) or a non-joiner (U+200C) shapes what stands
    beside it in Persian, in Indic scripts and in emoji.
    """
    return any(
        unicodedata.category(character) not in {"Cc", "Cf", "Zl", "Zp", "Zs"}
        for character in text
        if character not in _BLANK
    )


def line_problems(text: str, maximum: int) -> Iterator[Problem]:
    """What is wrong with `text` as a required single line of at most `maximum` characters."""
    if not text:
        yield Problem("required")
    elif len(text) > maximum:
        yield Problem("too_long", {"maximum": maximum})
    elif not is_storable(text) or has_control_characters(text) or has_bidirectional_controls(text):
        yield Problem("bad_characters")
    elif not is_visible(text):
        yield Problem("required")
