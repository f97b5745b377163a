"""The words for the problems that the domain names by codes."""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta

from authapp.domain.errors import Problem
from authapp.languages import N_, Language

PROBLEMS = {
    "required": N_("This field is required."),
    "not_text": N_("This must be text."),
    "repeated": N_("This field was sent more than once."),
    "too_long": N_("Use at most {maximum} characters."),
    "too_short": N_("Use at least {minimum} characters."),
    "bad_characters": N_("This contains characters that cannot be used here."),
    "bad_email": N_("This is not an email address. It should look like name@example.com."),
    "same_email": N_("This is your email address already."),
    "email_taken": N_("There is already an account with this email address."),
    "common_password": N_("This password is one of those that are guessed first. Use another."),
    "too_simple": N_("This is too easy to guess. Use a password that follows no pattern."),
    "site_word": N_("The name of this site is too easy to guess. Use another password."),
    "wrong_password": N_("This is not your current password."),
    "bad_code": N_("This is neither six digits from your app nor a recovery code."),
    "bad_totp_code": N_("Enter the six digits that your app shows."),
    "wrong_code": N_("This code is not right, or it has been used already."),
    "unknown_choice": N_("Choose one of those that are offered."),
    "unconfirmed": N_("Tick this box to go on. You would lose your own access."),
    "own_word": N_("Your own name or address is too easy to guess. Use another password."),
}
INVALID_CREDENTIALS = N_("Invalid email or password")
INVALID_CODE = N_("Invalid code")
LAST_ADMIN = N_(
    "There would be no active administrator left, and nobody could change that. Make somebody else "
    "an administrator first. Nothing was changed."
)
TOO_MANY_ATTEMPTS = N_("Too many attempts. Wait {wait}, then try again.")
CONFIRMATION_REQUIRED = N_("Give your password once more first, at {address}.")
SIGN_IN_FIRST = N_("Sign in first.")
INVALID_INPUT = N_("Some of the fields need another look.")


def describe(problems: Mapping[str, Sequence[Problem]], language: Language) -> dict[str, list[str]]:
    """The problems of each field in words."""
    return {
        field: [language.gettext(PROBLEMS[problem.code], **problem.params) for problem in listed]
        for field, listed in problems.items()
    }


def too_many_attempts(retry_after: timedelta, language: Language) -> str:
    wait = language.duration(rounded_up(retry_after))
    return language.gettext(TOO_MANY_ATTEMPTS, wait=wait)


def rounded_up(wait: timedelta) -> timedelta:
    """To what is worth saying: whole minutes, beyond 90 of them hours, beyond 48 of them days."""
    for unit, limit in _ROUNDED_TO:
        rounded = math.ceil(wait / unit) * unit
        if rounded <= limit:
            return rounded
    return math.ceil(wait / _DAY) * _DAY


_DAY = timedelta(days=1)
_ROUNDED_TO = (
    (timedelta(minutes=1), timedelta(minutes=90)),
    (timedelta(hours=1), timedelta(hours=48)),
)
