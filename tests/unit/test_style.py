"""The style sheet as it is sent: nothing is built or minified."""

import re
from pathlib import Path

import authapp

SHEET = Path(authapp.__file__).parent / "static" / "site.css"
MOST_BYTES = 12_000
PHYSICAL = re.compile(
    r"\b(left|right)\b[^:;{}]*:"
    # Four values of which the second and the fourth, right and left, are not the same.
    r"|\b(?:margin|padding|inset): ([^ ;()]+|var\([^)]+\)) (?P<right>[^ ;()]+|var\([^)]+\)) "
    r"([^ ;()]+|var\([^)]+\)) (?!(?P=right);)[^;]+;"
)


def test_style_sheet_is_small():
    assert len(SHEET.read_bytes()) < MOST_BYTES


def test_nothing_is_bound_to_left_or_right():
    # What is, would stand on the wrong side in Arabic or Hebrew.
    assert PHYSICAL.search("a { padding-left: 0; }")
    assert PHYSICAL.search("a { padding: var(--a) var(--b) var(--a) 0; }")
    assert not PHYSICAL.search("a { padding: 1px 2px 3px 2px; margin: 0 auto; }")
    assert PHYSICAL.search(SHEET.read_text()) is None
