"""Signing up, signing in and keeping a profile."""

from collections.abc import Sequence
from uuid import UUID

from authapp.domain.errors import EmailTaken, InvalidCredentials, InvalidInput, Problem
from authapp.domain.passwords import PasswordHasher, PasswordPolicy, presented_problems
from authapp.domain.text import is_storable
from authapp.domain.users import (
    EMAIL_MAX_LENGTH,
    User,
    UserRepository,
    email_problems,
    name_problems,
)


class Accounts:
    """The use cases of accounts, for one request.

    The hash, which takes a good part of a second, is always computed before anything is
    written, so that no row is locked meanwhile.
    """

    def __init__(
        self, users: UserRepository, hasher: PasswordHasher, policy: PasswordPolicy
    ) -> None:
        self._users = users
        self._hasher = hasher
        self._policy = policy

    def sign_up(self, name: str, email: str, password: str) -> User:
        """Makes an account; raises `InvalidInput`, also when the address is taken."""
        name, email = name.strip(), email.strip()
        refuse(
            name=name_problems(name),
            email=email_problems(email),
            password=self._policy.problems(password, name=name, email=email),
        )
        password_hash = self._hasher.hash(password)
        try:
            return self._users.add(name, email, password_hash)
        except EmailTaken:
            raise InvalidInput({"email": [Problem("email_taken")]}) from None

    def authenticate(self, email: str, password: str) -> User:
        """The user with this address and password.

        Raises `InvalidInput` for what no account could have, and `InvalidCredentials`, after the
        same work, for an unknown address, a wrong password and a disabled account alike.
        """
        email = email.strip()
        refuse(email=_presented_email_problems(email), password=tuple(presented_problems(password)))
        found = self._users.credentials(email)
        # The right password would cost less than a wrong one where the hash is of fewer rounds, so
        # that of a disabled account is not compared at all.
        if found is not None and not found.user.is_active:
            found = None
        known_hash = found.password_hash if found is not None else None
        if not self._hasher.verify(password, known_hash) or found is None:
            raise InvalidCredentials
        if self._hasher.needs_upgrade(found.password_hash):
            upgraded = self._hasher.hash(password)
            self._users.replace_password_hash(found.user.id, found.password_hash, upgraded)
        return found.user

    def rename(self, user_id: UUID, name: str) -> User:
        """Raises `InvalidInput` and `UserNotFound`."""
        name = name.strip()
        refuse(name=name_problems(name))
        return self._users.rename(user_id, name)


def refuse(**problems: Sequence[Problem]) -> None:
    """Raises `InvalidInput` with all fields that have problems, if any has."""
    found = {field: listed for field, listed in problems.items() if listed}
    if found:
        raise InvalidInput(found)


def _presented_email_problems(email: str) -> Sequence[Problem]:
    """Looser than at sign-up: an address that merely looks odd is an unknown one, not an error."""
    if not email:
        return (Problem("required"),)
    if len(email) > EMAIL_MAX_LENGTH:
        return (Problem("too_long", {"maximum": EMAIL_MAX_LENGTH}),)
    if not is_storable(email):
        return (Problem("bad_characters"),)
    return ()
