"""Signing up, signing in, keeping a profile and a password, and leaving."""

from collections.abc import Sequence
from uuid import UUID

from authapp.domain.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidInput,
    Problem,
    UserNotFound,
)
from authapp.domain.passwords import PasswordHasher, PasswordPolicy, presented_problems
from authapp.domain.sessions import SessionDirectory
from authapp.domain.text import is_storable
from authapp.domain.users import (
    EMAIL_MAX_LENGTH,
    Credentials,
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
        self,
        users: UserRepository,
        sessions: SessionDirectory,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
    ) -> None:
        self._users = users
        self._sessions = sessions
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
        found = self._verified(email, password)
        if not self._confirmed_or_upgraded(found, password):
            # Meanwhile the password was changed, or its hash upgraded by another sign-in.
            found = self._verified(email, password)
            if not self._users.confirm(found):
                raise InvalidCredentials
        return found.user

    def _verified(self, email: str, password: str) -> Credentials:
        found = self._users.credentials(email)
        # The right password would cost less than a wrong one where the hash is of fewer rounds, so
        # that of a disabled account is not compared at all.
        if found is not None and not found.user.is_active:
            found = None
        known_hash = found.password_hash if found is not None else None
        if not self._hasher.verify(password, known_hash) or found is None:
            raise InvalidCredentials
        return found

    def _confirmed_or_upgraded(self, found: Credentials, password: str) -> bool:
        """Either holds the account as it is until the transaction ends. A change of the password
        ends all sessions; one that was begun with the old password must not slip in behind it."""
        if not self._hasher.needs_upgrade(found.password_hash):
            return self._users.confirm(found)
        upgraded = self._hasher.hash(password)
        return self._users.replace_password_hash(found.user.id, found.password_hash, upgraded)

    def rename(self, user_id: UUID, name: str) -> User:
        """Raises `InvalidInput` and `UserNotFound`."""
        name = name.strip()
        refuse(name=name_problems(name))
        return self._users.rename(user_id, name)

    def change_password(self, user_id: UUID, current: str, new: str, *, keep: UUID | None) -> None:
        """Sets a new password and ends the user's sessions, but for the one with the id `keep`.

        Raises `InvalidInput` for the fields `current_password` and `new_password`, and
        `UserNotFound`.
        """
        found = self._credentials_of(user_id)
        problems = self._policy.problems(new, name=found.user.name, email=found.user.email)
        self._check_current(found, current, new_password=problems)
        new_hash = self._hasher.hash(new)
        if not self._users.replace_password_hash(user_id, found.password_hash, new_hash):
            raise _wrong_current_password()  # By now: another browser has just changed it.
        self._sessions.revoke_of_user(user_id, keep=keep)

    def delete(self, user_id: UUID, current_password: str) -> None:
        """Deletes the account, and with it all that belongs to it, its sessions too.

        Raises `InvalidInput` for the field `current_password`, and `UserNotFound`.
        """
        self._check_current(self._credentials_of(user_id), current_password)
        self._users.delete(user_id)

    def _credentials_of(self, user_id: UUID) -> Credentials:
        found = self._users.credentials_of(user_id)
        if found is None:
            raise UserNotFound
        return found

    def _check_current(
        self, found: Credentials, password: str, **other_problems: Sequence[Problem]
    ) -> None:
        refuse(current_password=tuple(presented_problems(password)), **other_problems)
        if not self._hasher.verify(password, found.password_hash):
            raise _wrong_current_password()


def _wrong_current_password() -> InvalidInput:
    return InvalidInput({"current_password": [Problem("wrong_password")]})


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
