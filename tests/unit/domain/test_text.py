import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authapp.domain.errors import Problem
from authapp.domain.text import (
    has_bidirectional_controls,
    has_control_characters,
    is_storable,
    is_visible,
    line_problems,
)


@pytest.mark.parametrize(
    "text", ["", "plain", "Zoë 🙂", "line\nbreak", "\x01", "\ufffe", "\U0010ffff"]
)
def test_text_is_storable(text):
    assert is_storable(text)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "a\udfffb", "a\ude42\ud83db"])
def test_nul_and_lone_surrogates_are_not_storable(text):
    assert not is_storable(text)


@given(st.text(st.characters()))
def test_what_is_storable_is_what_utf_8_can_write_less_nul(text):
    try:
        expected = b"\0" not in text.encode("utf-8")
    except UnicodeEncodeError:
        expected = False

    assert is_storable(text) is expected


@pytest.mark.parametrize(
    "character",
    ["\n", "\r", "\t", "\v", "\f", "\0", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029"],
)
@pytest.mark.parametrize("pattern", ["{}", "a{}", "{}a", "a{}b"])
def test_what_could_forge_a_log_line_is_found_wherever_it_is(pattern, character):
    assert has_control_characters(pattern.format(character))


@pytest.mark.parametrize(
    "text", ["", "Ada Lovelace", "Zoë", "שלום", "👩\u200d🚀", "a\u00a0b", "«»"]
)
def test_other_text_has_no_control_characters(text):
    assert not has_control_characters(text)


@given(st.text())
def test_bidirectional_controls_are_those_of_unicode(text):
    names = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    marks = "\N{ARABIC LETTER MARK}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"
    expected = any(c in marks or unicodedata.bidirectional(c) in names for c in text)

    assert has_bidirectional_controls(text) is expected
    assert has_bidirectional_controls(f"{text}\u202e{text}")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\u00a0", "\u00ad", "\u034f", "\u115f\u1160", "\u180b", "\u200b"),
        *("\u200c\u200d", "\u2060", "\u2800", "\u3000", "\u3164", "\ufe00", "\ufeff", "\uffa0"),
        *("\U000e0041", "\U000e0100"),
    ],
)
def test_some_text_shows_nothing(text):
    assert not is_visible(text)
    assert is_visible(f"{text}a{text}")


@pytest.mark.parametrize("text", ["a", "-", "李", "🙂", "❤\ufe0f", "\u0301", "\U0010ffff"])
def test_other_text_does(text):
    assert is_visible(text)


def test_a_line_of_the_maximum_length_is_fine():
    assert list(line_problems("a" * 5, 5)) == []


def test_a_line_is_measured_in_characters():
    assert list(line_problems("🙂" * 5, 5)) == []


def test_a_line_that_is_too_long_says_what_the_maximum_is():
    assert list(line_problems("a" * 6, 5)) == [Problem("too_long", {"maximum": 5})]


def test_an_empty_line_is_missing():
    assert list(line_problems("", 5)) == [Problem("required")]


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "\ud800", "a\x1b[31m", "\u2028"])
def test_a_line_has_no_control_characters_and_can_be_stored(text):
    assert list(line_problems(text, 100)) == [Problem("bad_characters")]


def test_a_line_has_one_problem_at_a_time():
    assert [problem.code for problem in line_problems("\0" * 6, 5)] == ["too_long"]
