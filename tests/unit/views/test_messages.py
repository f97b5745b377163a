from datetime import timedelta

import pytest

from authapp.languages import Language
from authapp.views.messages import too_many_attempts


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "1 minute"),
        (60, "1 minute"),
        (61, "2 minutes"),
        (720, "12 minutes"),
        (90 * 60, "90 minutes"),
        (90 * 60 + 1, "2 hours"),
        (23 * 3600, "23 hours"),
        (48 * 3600, "2 days"),
        (48 * 3600 + 1, "3 days"),
        (30 * 24 * 3600, "30 days"),
    ],
)
def test_a_wait_is_told_in_words_and_never_too_short(seconds, words):
    said = too_many_attempts(timedelta(seconds=seconds), Language("en"))

    assert said == f"Too many attempts. Wait {words}, then try again."
