"""Users: who they are, what their names and addresses may be, and what the rules need stored."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from authapp.domain.errors import LastAdmin, Problem
from authapp.domain.text import line_problems

NAME_MAX_LENGTH = 100
EMAIL_MAX_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets.

# Deliverability is known only by sending a message, so the shape is all that is checked: a local
# part of at most 64 characters and a domain of dot-separated labels (RFC 5321 section 4.5.3.1).
_EMAIL = re.compile(
    r"""[^\s@<>()\[\]\\,;:"]{1,64}
        @
        (?=.{1,253}\Z)[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.[^\W_](?:[\w-]{0,61}[^\W_])?)*""",
    re.VERBOSE,
)
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class Role(StrEnum):
    MEMBER = "member"
    ADMIN = "admin"


class Status(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


# Permissions follow from the role alone; a view asks for one with `permission="admin"`.
PERMISSIONS = {
    Role.MEMBER: frozenset({"account"}),
    Role.ADMIN: frozenset({"account", "admin"}),
}


@dataclass(frozen=True, slots=True)
class User:
    """An account, without its secrets. It doubles as the identity of a request."""

    id: UUID
    name: str
    email: str
    role: Role
    status: Status
    email_verified_at: datetime | None
    created_at: datetime
    password_changed_at: datetime
    notify_sign_in: bool = True
    second_factor_at: datetime | None = None
    # A BCP 47 tag; None is whatever the browser asks for.
    language: str | None = None
    # What letters are in until a language is chosen: that of the page on which the person signed
    # up, and never that of a page on which somebody pretends to be them.
    letters_language: str | None = None

    @property
    def is_active(self) -> bool:
        return self.status is Status.ACTIVE

    @property
    def has_second_factor(self) -> bool:
        return self.second_factor_at is not None

    @property
    def permissions(self) -> frozenset[str]:
        return PERMISSIONS[self.role]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user together with the password's hash; it never leaves the services."""

    user: User
    password_hash: str


class UserRepository(Protocol):
    """Where users are kept. Addresses are compared as `fold_email` folds them."""

    def add(
        self, name: str, email: str, password_hash: str, letters_language: str | None = None
    ) -> User:
        """Stores a new active member; raises `EmailTaken`, also in a race of two requests."""
        ...

    def by_id(self, user_id: UUID) -> User | None: ...

    def by_email(self, email: str) -> User | None: ...

    def credentials(self, email: str) -> Credentials | None: ...

    def credentials_of(self, user_id: UUID) -> Credentials | None: ...

    def hold_unchanged(self, credentials: Credentials) -> bool:
        """Whether the account is active and still has this hash and this second factor; if so, it
        is held as it is until the transaction ends."""
        ...

    def rename(self, user_id: UUID, name: str) -> User:
        """Raises `UserNotFound`."""
        ...

    def change_email(self, user_id: UUID, email: str) -> User:
        """Sets an address that has been verified; raises `EmailTaken`, also in a race of two
        requests, and `UserNotFound`."""
        ...

    def verify_email(self, user_id: UUID) -> User:
        """Raises `UserNotFound`."""
        ...

    def notify_sign_in(self, user_id: UUID, notify: bool) -> User:
        """Raises `UserNotFound`."""
        ...

    def choose_language(self, user_id: UUID, language: str | None) -> User:
        """Raises `UserNotFound`."""
        ...

    def replace_password_hash(self, user_id: UUID, old: str, new: str) -> bool:
        """Swaps the hash for another one of the same password if it still is `old`, and says
        whether it was."""
        ...

    def change_password(self, user_id: UUID, old: str, new: str) -> User | None:
        """Sets the hash of a new password if it still is `old`, and gives the user as of then;
        None where it is not.

        `password_changed_at` is later than the beginning of any transaction that has held the
        account with the old password.
        """
        ...

    def delete(self, user_id: UUID) -> bool:
        """Deletes the user and all that belongs to them, and says whether there was one."""
        ...

    def hold(self, user_id: UUID) -> User | None:
        """The user as of now, who is held as they are until the transaction ends: of two who would
        change an account, the second sees what the first has done."""
        ...

    def hold_admins(self) -> Collection[UUID]:
        """The ids of the active administrators, who are held as they are until the transaction
        ends. Whoever would make one administrator fewer asks for this before anything else, so
        that of several at once each sees what the one before has left."""
        ...


@dataclass(frozen=True, slots=True)
class UserQuery:
    """Which users are looked for. `email` is what the address begins with, without regard to
    case."""

    email: str = ""
    role: Role | None = None
    status: Status | None = None


class UserDirectory(Protocol):
    """Looking at all users, and changing what they may."""

    def page(self, query: UserQuery, *, limit: int, after: str | None = None) -> Sequence[User]:
        """In the order of their folded addresses, those that come behind the address `after`,
        whether or not anybody has it."""
        ...

    def set_status(self, user_id: UUID, status: Status) -> User:
        """Raises `UserNotFound`."""
        ...

    def set_role(self, user_id: UUID, role: Role) -> User:
        """Raises `UserNotFound`."""
        ...


def check_admin_remains(admins: Collection[UUID], leaving: UUID) -> None:
    """Raises `LastAdmin` if of the active administrators there is none but the one who leaves."""
    if set(admins) == {leaving}:
        raise LastAdmin


def fold_email(email: str) -> str:
    """The form in which two addresses are the same account.

    Only the letters A to Z are folded. Unicode has letters that fold together although they
    belong to different mailboxes (CVE-2019-19844), and whose folding differs between Python and
    a database's locale; A to Z fold alike everywhere.
    """
    return email.translate(_ASCII_LOWER)


def name_problems(name: str) -> Sequence[Problem]:
    """What is wrong with a name that has been trimmed; empty where nothing is."""
    return tuple(line_problems(name, NAME_MAX_LENGTH))


def email_problems(email: str) -> Sequence[Problem]:
    """What is wrong with an e-mail address that has been trimmed; empty where nothing is."""
    problems = tuple(line_problems(email, EMAIL_MAX_LENGTH))
    if not problems and not _EMAIL.fullmatch(email):
        return (Problem("bad_email"),)
    return problems
