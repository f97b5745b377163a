import hashlib
import re
from datetime import timedelta

import pytest

from authapp.domain.tokens import LIFETIMES, Purpose, new_token, token_hash


def test_token_is_256_bits_that_stand_in_a_link_as_they_are():
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", new_token())


def test_no_two_are_the_same():
    assert len({new_token() for _ in range(1000)}) == 1000


def test_what_is_kept_is_the_sha256():
    token = new_token()

    assert token_hash(token) == hashlib.sha256(token.encode("ascii")).digest()


@pytest.mark.parametrize("token", ["", "é", "🙂" * 10_000, "\0", "a b", "\udc80"])
def test_whatever_comes_in_by_a_link_has_a_hash(token):
    assert len(token_hash(token)) == 32


@pytest.mark.parametrize("purpose", Purpose)
def test_every_purpose_has_a_lifetime(purpose):
    assert timedelta(0) < LIFETIMES[purpose] <= timedelta(days=7)


def test_that_which_opens_an_account_is_short():
    assert LIFETIMES[Purpose.RESET_PASSWORD] <= timedelta(hours=1)
