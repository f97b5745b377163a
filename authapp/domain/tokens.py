"""Tokens that are sent by mail: 256 bits, kept as their SHA-256 only, good once, and not for long.

OWASP Forgot Password Cheat Sheet; ASVS 5.0 6.5 and 7.2. The hash needs neither salt nor work: there
is nothing to be guessed about 256 random bits.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

# What `new_token` makes.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class Purpose(StrEnum):
    RESET_PASSWORD = "reset_password"  # noqa: S105
    VERIFY_EMAIL = "verify_email"
    CHANGE_EMAIL = "change_email"


LIFETIMES = {
    Purpose.RESET_PASSWORD: timedelta(hours=1),
    Purpose.VERIFY_EMAIL: timedelta(days=3),
    Purpose.CHANGE_EMAIL: timedelta(days=1),
}


class TokenInvalid(Exception):
    """The token was used, has expired, was made void by a change of the account, or never was."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token stands for: `email` is the address that it was sent to."""

    purpose: Purpose
    user_id: UUID
    email: str


class TokenRepository(Protocol):
    def add(self, token_hash: bytes, token: Token, lifetime: timedelta) -> None:
        """Makes the token good for so long; one for a user who is gone never is."""
        ...

    def find(self, token_hash: bytes) -> Token | None:
        """What the token stands for, while it is good; it stays good."""
        ...

    def use(self, token_hash: bytes) -> bool:
        """Makes the token void, and says whether it was good until now: of two, one is told so."""
        ...

    def revoke(self, user_id: UUID, *purposes: Purpose) -> None:
        """Makes the user's tokens void, all of them or those for these purposes."""
        ...

    def purge(self, batch_size: int) -> int:
        """Deletes up to so many that have expired; commits at once, and says how many."""
        ...


def new_token() -> str:
    """A token as it stands in a link: 43 characters of base64url."""
    return secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether it could be one, so that nothing else is ever looked for."""
    return _TOKEN.fullmatch(text) is not None


def token_hash(token: str) -> bytes:
    # Anything may be given as a token, even what is no text: JSON can say half a surrogate pair.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
