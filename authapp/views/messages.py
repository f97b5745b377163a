"""The words for the problems that the domain names by codes."""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta

from authapp.domain.errors import Problem

PROBLEMS = {
    "required": "This field is required.",
    "not_text": "This must be text.",
    "repeated": "This field was sent more than once.",
    "too_long": "Use at most {maximum} characters.",
    "too_short": "Use at least {minimum} characters.",
    "bad_characters": "This contains characters that cannot be used here.",
    "bad_email": "This is not an email address. It should look like name@example.com.",
    "same_email": "This is your email address already.",
    "email_taken": "There is already an account with this email address.",
    "common_password": "This password is one of those that are guessed first. Use another.",
    "too_simple": "This is too easy to guess. Use a password that follows no pattern.",
    "site_word": "The name of this site is too easy to guess. Use another password.",
    "wrong_password": "This is not your current password.",
    "bad_code": "This is neither six digits from your app nor a recovery code.",
    "bad_totp_code": "Enter the six digits that your app shows.",
    "wrong_code": "This code is not right, or it has been used already.",
    "unknown_choice": "Choose one of those that are offered.",
    "unconfirmed": "Tick this box to go on. You would lose your own access.",
    "own_word": "Your own name or address is too easy to guess. Use another password.",
}
INVALID_CREDENTIALS = "Invalid email or password"
INVALID_CODE = "Invalid code"
LAST_ADMIN = (
    "There would be no active administrator left, and nobody could change that. Make somebody else "
    "an administrator first."
)
TOO_MANY_ATTEMPTS = "Too many attempts. Try again in {wait}."
CONFIRMATION_REQUIRED = "Give your password once more first, at {address}."
INVALID_INPUT = "Some of the fields need another look."


def describe(problems: Mapping[str, Sequence[Problem]]) -> dict[str, list[str]]:
    """The problems of each field in words."""
    return {
        field: [PROBLEMS[problem.code].format(**problem.params) for problem in listed]
        for field, listed in problems.items()
    }


def too_many_attempts(retry_after: timedelta) -> str:
    return TOO_MANY_ATTEMPTS.format(wait=wait_in_words(retry_after))


def wait_in_words(wait: timedelta) -> str:
    """About how long, never less than it is."""
    minutes = math.ceil(wait / timedelta(minutes=1))
    if minutes <= 1:
        return "about a minute"
    if minutes <= 90:
        return f"about {minutes} minutes"
    hours = math.ceil(minutes / 60)
    return f"about {hours} hours" if hours <= 48 else f"about {math.ceil(hours / 24)} days"
