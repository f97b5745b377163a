"""Which passwords are acceptable, and what a hasher must be able to do.

NIST SP 800-63B-4 section 3.1.1.2 and ASVS 5.0 section 6.2: length rather than composition, any
character, common passwords and the account's own words refused, verified exactly as given.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Protocol

from authapp.domain.errors import Problem
from authapp.domain.text import is_storable

PASSWORD_MAX_LENGTH = 256

# A block of so many characters that does nothing but repeat itself adds nothing to the first.
_LONGEST_BLOCK = 3
# What fingers run along. Digits go round: 0 stands before 1, and after 9.
_ROWS = ("1234567890" * 5, "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl")
# Of a longer one it is the length that would have to be guessed.
_LONGEST_PATTERN = 32

_DECORATION = re.compile(r"^[\W\d_]+|[\W\d_]+$")


class PasswordHasher(Protocol):
    """Slow, salted, one-way."""

    def hash(self, password: str) -> str: ...

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether `password` is the one hashed. For `None` it takes the same time and says no."""
        ...

    def needs_upgrade(self, password_hash: str) -> bool:
        """Whether the hash was made with a lesser cost, or another key, than is set now."""
        ...


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """`min_length` counts characters (code points), not bytes; `site_words` are the names of this
    very site, which are guessed early (ASVS 5.0 6.1.2)."""

    min_length: int
    site_words: Sequence[str] = ()

    def problems(self, password: str, *, name: str, email: str) -> Sequence[Problem]:
        """What is wrong with `password` as the new password of the account named."""
        return tuple(presented_problems(password)) or tuple(self._weaknesses(password, name, email))

    def _weaknesses(self, password: str, name: str, email: str) -> Iterator[Problem]:
        if len(password) < self.min_length:
            yield Problem("too_short", {"minimum": self.min_length})
        elif password.casefold() in common_passwords():
            yield Problem("common_password")
        elif _is_one_of(self.site_words, password):
            yield Problem("site_word")
        elif _is_one_of((name, email, email.partition("@")[0]), password):
            yield Problem("own_word")
        elif is_simple(password):
            yield Problem("too_simple")


def presented_problems(password: str) -> Iterator[Problem]:
    """What is wrong with `password` as something to verify at all.

    Found before any hashing, so that a password of a megabyte costs no more than a short one.
    """
    if not password:
        yield Problem("required")
    elif len(password) > PASSWORD_MAX_LENGTH:
        yield Problem("too_long", {"maximum": PASSWORD_MAX_LENGTH})
    elif not is_storable(password):
        yield Problem("bad_characters")


@cache
def common_passwords() -> frozenset[str]:
    """Passwords of eight characters and more that lists of leaked ones are full of, casefolded."""
    text = files("authapp.domain").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split())


def is_simple(password: str) -> bool:
    """Whether the password is one short block over and over ("aaaaaaaa", "abcabcab"), or runs
    straight up or down an alphabet ("stuvwxyz") or along a row of keys ("09876543").

    A long one is not. The guidance in static/site.js knows these patterns as well.
    """
    text = password.casefold()
    if len(password) > _LONGEST_PATTERN:
        return False
    if any(text[length:] == text[:-length] for length in range(1, _LONGEST_BLOCK + 1)):
        return True
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return steps in ({1}, {-1}) or any(text in row or text in row[::-1] for row in _ROWS)


def _is_one_of(words: Sequence[str], password: str) -> bool:
    """Whether the password is one of the words with, at most, digits and signs around it."""
    known = {_bare(word) for word in words} | {word.casefold() for word in words}
    return password.casefold() in known or _bare(password) in known - {""}


def _bare(text: str) -> str:
    return _DECORATION.sub("", text.casefold())
