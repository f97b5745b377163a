"""The style sheet as it is sent: nothing is built or minified."""

from pathlib import Path

import authapp

SHEET = Path(authapp.__file__).parent / "static" / "site.css"
MOST_BYTES = 12_000


def test_style_sheet_is_small():
    assert len(SHEET.read_bytes()) < MOST_BYTES


def test_nothing_is_bound_to_left_or_right():
    # What is, would stand on the wrong side in Arabic or Hebrew.
    declarations = SHEET.read_text().split()
    bound = {f"{name}{side}:" for name in ("", "margin-", "padding-") for side in ("left", "right")}
    assert bound.isdisjoint(declarations)
