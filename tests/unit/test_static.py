"""What a slow line has to carry, and what the script must not do."""

import re
from pathlib import Path

import authapp

SCRIPT = (Path(authapp.__file__).parent / "static" / "site.js").read_bytes()


def test_script_is_smaller_than_5000_bytes():
    assert len(SCRIPT) < 5_000


def test_script_has_no_words_for_people():
    """They come from the server, in the language of the page."""
    code = re.sub(rb"/\*.*?\*/|^\s*//.*?$", b"", SCRIPT, flags=re.DOTALL | re.MULTILINE)
    texts = re.findall(rb'"([^"\n]*)"|`([^`]*)`', code)
    found = [text for pair in texts for text in pair if re.search(rb"[A-Z][a-z]|\w \w", text)]
    assert found == [b"use strict"]


def test_script_sends_nothing_and_keeps_nothing():
    for way in (
        b"fetch",
        b"XMLHttpRequest",
        b"sendBeacon",
        b"WebSocket",
        b"localStorage",
        b"cookie",
    ):
        assert way not in SCRIPT, way
