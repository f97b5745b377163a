"""What is wrong with settings only when those of another section are looked at, too."""

import re

from authapp.settings.readers.values import MINIMUM_SECRET_LENGTH
from authapp.settings.reading import Problems
from authapp.settings.sections import ModeSettings, PasswordSettings, SessionSettings, check_session

MINIMUM_DISTINCT_CHARACTERS = 10
_PLACEHOLDER_WORDS = re.compile(
    r"change.?(me|this|it)|place.?holder|replace|your.?secret|insecure|example|development|itsaseekreet"
    r"|\btodo\b|random.characters|<.+>"
)


def check_together(mode: ModeSettings | None, session: SessionSettings | None) -> Problems:
    """What is wrong with values that are each right by themselves, in the sections that are."""
    if session is None:
        return []
    problems = check_session(session)
    if mode is not None and not mode.development and any(map(is_placeholder, session.secret)):
        problems.append(
            "session.secret: looks like a placeholder; make one with "
            "`python -c 'import secrets; print(secrets.token_urlsafe(48))'`"
        )
    return problems


def check_peppers(mode: ModeSettings | None, password: PasswordSettings | None) -> Problems:
    if mode is None or mode.development or password is None:
        return []
    if all(len(pepper) >= MINIMUM_SECRET_LENGTH for pepper in password.pepper):
        return []
    return [
        f"password.pepper: its value is not secrets of at least {MINIMUM_SECRET_LENGTH} characters"
    ]


def is_placeholder(secret: str) -> bool:
    """Whether a secret was plainly typed or copied rather than made by a random generator."""
    repeats_itself = secret in (secret + secret)[1:-1]
    return (
        repeats_itself
        or len(set(secret)) < MINIMUM_DISTINCT_CHARACTERS
        or _PLACEHOLDER_WORDS.search(secret.casefold()) is not None
    )
