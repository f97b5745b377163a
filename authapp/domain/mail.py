"""Letters to people: what is to be said to whom; the words are found when it is sent.

A letter is put into the outbox in the request's transaction, and leaves if that commits. What is
kept is its kind and a few parameters. A link with a token is made only when the letter is sent, so
that no token ever stands in the database, and a request for a known address does no other work
than one for an unknown address does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class LetterKind(StrEnum):
    """What a letter is about; each has its template in `authapp/templates/mail`."""

    RESET_PASSWORD = "reset_password"  # noqa: S105  # A kind of letter.
    VERIFY_EMAIL = "verify_email"
    CHANGE_EMAIL = "change_email"
    EMAIL_CHANGE_REQUESTED = "email_change_requested"
    EMAIL_CHANGED = "email_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    NEW_SIGN_IN = "new_sign_in"
    SECOND_FACTOR_ENABLED = "second_factor_enabled"
    SECOND_FACTOR_DISABLED = "second_factor_disabled"
    RECOVERY_CODE_USED = "recovery_code_used"
    SECOND_FACTOR_FAILED = "second_factor_failed"
    ROLE_CHANGED = "role_changed"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_ENABLED = "account_enabled"
    SESSIONS_ENDED = "sessions_ended"
    ACCOUNT_DELETED = "account_deleted"


@dataclass(frozen=True, slots=True)
class Letter:
    """`user_id` is the account that it is about; where that is deleted, the letter goes with it."""

    kind: LetterKind
    recipient: str
    user_id: UUID | None = None
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PostedLetter:
    """A letter that was taken from the outbox to be sent, for the `attempt`-th time."""

    id: UUID
    letter: Letter
    attempt: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """A letter in words: what a transport sends. `id` is the same however often it is sent."""

    id: UUID
    recipient: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How many letters wait, and how many were given up after all attempts."""

    waiting: int
    failed: int


class TransportError(Exception):
    """The message could not be handed over; it may work another time, unless it is `permanent`."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Transport(Protocol):
    def send(self, message: Message) -> None:
        """Hands the message over, or raises `TransportError`."""
        ...


class Writer(Protocol):
    def write(self, posted: PostedLetter) -> Message | None:
        """Puts the letter into words, with a new token where it takes one, which is good from
        then on; None where by now there is nothing to be said."""
        ...


class Letterbox(Protocol):
    """The side of the outbox at which letters are posted."""

    def put(self, letter: Letter) -> None:
        """Has the letter sent if, and only if, the transaction commits; one about a user who is
        gone is not kept."""
        ...

    def withdraw(self, user_id: UUID, *kinds: LetterKind) -> None:
        """Takes back what of these kinds has not been sent about this user."""
        ...


class Outbox(Letterbox, Protocol):
    def claim(self, limit: int, lease: timedelta) -> Sequence[PostedLetter]:
        """Takes letters that are due, each for the caller alone until the lease is over; commits
        at once."""
        ...

    def hold(self, posted: PostedLetter, lease: timedelta) -> bool:
        """Begins the lease anew, and says whether the letter is the caller's still: it may have
        been withdrawn, or be claimed by another. Waits for whoever is about to withdraw it, and
        commits at once."""
        ...

    def sent(self, letter_id: UUID) -> None:
        """Forgets the letter; commits at once."""
        ...

    def failed(self, letter_id: UUID, reason: str, retry_in: timedelta | None) -> None:
        """Keeps the letter to be sent again, or, with None, for the operator; commits at once."""
        ...

    def counts(self) -> OutboxCounts: ...

    def retry(self) -> int:
        """Has all that was given up sent as if for the first time; commits at once, and says how
        many letters those are."""
        ...
