from datetime import timedelta

import pytest

from authapp.views.messages import wait_in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "about a minute"),
        (60, "about a minute"),
        (61, "about 2 minutes"),
        (720, "about 12 minutes"),
        (90 * 60, "about 90 minutes"),
        (90 * 60 + 1, "about 2 hours"),
        (24 * 3600, "about 24 hours"),
        (48 * 3600, "about 48 hours"),
        (48 * 3600 + 1, "about 3 days"),
        (30 * 24 * 3600, "about 30 days"),
    ],
)
def test_a_wait_is_told_in_words_and_never_too_short(seconds, words):
    assert wait_in_words(timedelta(seconds=seconds)) == words
