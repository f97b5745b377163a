"""Signing up, keeping a profile and a password, and leaving."""

from uuid import UUID

from authapp.domain.errors import EmailTaken, InvalidInput, Problem, UserNotFound
from authapp.domain.events import (
    Announcer,
    LanguageChosen,
    PasswordChanged,
    ProfileChanged,
    UserDeleted,
    UserSignedUp,
)
from authapp.domain.passwords import PasswordHasher, PasswordPolicy
from authapp.domain.users import (
    User,
    UserRepository,
    check_admin_remains,
    email_problems,
    name_problems,
)
from authapp.domain.visitors import Visitor
from authapp.services.attempts import Attempts
from authapp.services.passwords import Passwords, refuse, wrong_current_password
from authapp.services.revocations import Revocations


class Accounts:
    """The use cases of accounts, for one request.

    The hash, which takes a good part of a second, is always computed before anything is
    written, so that no row is locked meanwhile.
    """

    def __init__(
        self,
        *,
        users: UserRepository,
        passwords: Passwords,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        attempts: Attempts,
        revocations: Revocations,
        announcer: Announcer,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._hasher = hasher
        self._policy = policy
        self._attempts = attempts
        self._limits = attempts.limits
        self._revocations = revocations
        self._announcer = announcer

    def sign_up(
        self,
        name: str,
        email: str,
        password: str,
        visitor: Visitor,
        letters_language: str | None = None,
    ) -> User:
        """Makes an account; raises `InvalidInput`, also when the address is taken, and
        `TooManyAttempts`."""
        name, email = name.strip(), email.strip()
        refuse(
            name=name_problems(name),
            email=email_problems(email),
            password=self._policy.problems(password, name=name, email=email),
        )
        self._attempts.take([self._limits.from_address("sign_up", visitor.address)], "sign_up")
        password_hash = self._hasher.hash(password)
        try:
            user = self._users.add(name, email, password_hash, letters_language)
        except EmailTaken:
            raise InvalidInput({"email": [Problem("email_taken")]}) from None
        self._announcer.announce(UserSignedUp(user=user))
        return user

    def rename(self, user_id: UUID, name: str) -> User:
        """Raises `InvalidInput` and `UserNotFound`."""
        name = name.strip()
        refuse(name=name_problems(name))
        user = self._users.rename(user_id, name)
        self._announcer.announce(ProfileChanged(user=user))
        return user

    def choose_language(self, user_id: UUID, language: str | None) -> User:
        """Has pages and letters in the language of that tag; None is whatever the browser asks
        for. Raises `UserNotFound`."""
        user = self._users.choose_language(user_id, language)
        self._announcer.announce(LanguageChosen(user=user))
        return user

    def change_password(self, user_id: UUID, current: str, new: str, *, keep: UUID | None) -> User:
        """Sets a new password and ends the user's sessions, but for the one with the id `keep`.
        Gives the user as of then.

        Raises `InvalidInput` for the fields `current_password` and `new_password`,
        `TooManyAttempts`, `UserNotFound`, and `SessionEnded` where `keep` is no more.
        """
        user = self._passwords.credentials_of(user_id).user
        problems = self._policy.problems(new, name=user.name, email=user.email)
        found = self._passwords.check_current(user_id, current, new_password=problems)
        new_hash = self._hasher.hash(new)
        changed = self._users.change_password(user_id, found.password_hash, new_hash)
        if changed is None:
            raise wrong_current_password()  # By now: another browser has just changed it.
        self._revocations.check_alive(keep)
        self._announcer.announce(PasswordChanged(user=changed))
        self._revocations.of_everything(changed, keep=keep)
        return changed

    def delete(
        self, user_id: UUID, current_password: str, *, session_id: UUID | None = None
    ) -> None:
        """Deletes the account, and with it all that belongs to it, its sessions too.

        Raises `InvalidInput` for the field `current_password`, `TooManyAttempts`, `LastAdmin`,
        `UserNotFound`, and `SessionEnded`.
        """
        found = self._passwords.check_current(user_id, current_password)
        # Also for members: somebody may be making them an administrator at this very moment.
        check_admin_remains(self._users.hold_admins(), user_id)
        # For oneself alone: two who held it together could neither of them delete it.
        if self._users.hold(user_id) is None:
            raise UserNotFound
        self._passwords.hold_unchanged(found)
        self._revocations.check_alive(session_id)
        if not self._users.delete(user_id):
            raise UserNotFound
        self._announcer.announce(UserDeleted(user=found.user))
