"""The style sheet as it is sent: nothing is built or minified."""

import re
from pathlib import Path

import pytest

import authapp

SHEET = Path(authapp.__file__).parent / "static" / "site.css"
MOST_BYTES = 12_000
DECLARATION = re.compile(r"([a-z-]+): ([^;{}]+);")


def bound_to_a_side(css: str) -> list[str]:
    """The declarations that name left or right, or treat them differently."""
    found = []
    for name, value in DECLARATION.findall(css):
        sides = re.sub(r"\([^()]*\)", "", value).split()
        is_lopsided = name in {"inset", "margin", "padding"} and (
            len(sides) == 4 and sides[1] != sides[3]
        )
        if is_lopsided or {"left", "right"} & {*name.split("-"), *sides}:
            found.append(f"{name}: {value};")
    return found


def test_style_sheet_is_small():
    assert len(SHEET.read_bytes()) < MOST_BYTES


@pytest.mark.parametrize(
    "declaration",
    ["left: 0;", "padding-right: 1rem;", "text-align: left;", "padding: 1px var(--a) 1px 0;"],
)
def test_sides_are_noticed(declaration):
    assert bound_to_a_side(f"a {{ {declaration} }}") == [declaration]


def test_nothing_is_bound_to_left_or_right():
    # What is, would stand on the wrong side in Arabic or Hebrew.
    assert bound_to_a_side(SHEET.read_text()) == []
