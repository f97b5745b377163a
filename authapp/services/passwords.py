"""Verifying passwords: at sign-in, and once more before what matters; no more often than allowed.

Every attempt is counted before the password is compared, so that many at once are no way around
the limits, and nobody can make the server hash for them without end.
"""

from collections.abc import Sequence
from uuid import UUID

from authapp.domain.errors import InvalidCredentials, InvalidInput, Problem, UserNotFound
from authapp.domain.events import Announcer, SignInFailed, WrongPassword
from authapp.domain.passwords import PasswordHasher, presented_problems
from authapp.domain.text import is_storable
from authapp.domain.throttle import Limit
from authapp.domain.users import EMAIL_MAX_LENGTH, Credentials, User, UserRepository, fold_email
from authapp.domain.visitors import Visitor
from authapp.services.attempts import Attempts


class Passwords:
    """Verifies passwords, for one request."""

    def __init__(
        self,
        users: UserRepository,
        hasher: PasswordHasher,
        attempts: Attempts,
        announcer: Announcer,
    ) -> None:
        self._users = users
        self._hasher = hasher
        self._attempts = attempts
        self._limits = attempts.limits
        self._announcer = announcer

    def authenticate(self, email: str, password: str, visitor: Visitor) -> Credentials:
        """The account with this address and password, held as it is until the transaction ends.

        Raises `InvalidInput` for what no account could have, `TooManyAttempts`, and
        `InvalidCredentials`, after the same work, for an unknown address, a wrong password and a
        disabled account alike.
        """
        email = email.strip()
        refuse(email=presented_email_problems(email), password=tuple(presented_problems(password)))
        found = self._users.credentials(email)
        user = found.user if found else None
        account, address = self._take_one_to_sign_in(email, user, visitor)
        try:
            verified = self._verified(found, password)
            # Before the account is held, which takes a connection: requests that wanted a second
            # one each could wait for each other.
            self._attempts.clear(account)
            self._attempts.give_back(address)
            return self._confirmed(verified, password)
        except InvalidCredentials:
            self._announcer.announce(SignInFailed(user=user))
            raise

    def check_current(
        self, user_id: UUID, password: str, **other_problems: Sequence[Problem]
    ) -> Credentials:
        """The account of somebody who is signed in and has given the password once more.

        Raises `InvalidInput` for the field `current_password`, and for all others that have
        problems, before anything is compared; `TooManyAttempts`, and `UserNotFound`.
        """
        found = self.credentials_of(user_id)
        refuse(current_password=tuple(presented_problems(password)), **other_problems)
        limits = [self._limits.at_account("password", user_id)]
        self._attempts.take(limits, "password", found.user)
        if not self._hasher.verify(password, found.password_hash):
            self._announcer.announce(WrongPassword(user=found.user))
            raise wrong_current_password()
        self._attempts.clear(limits)
        return found

    def hold_unchanged(self, found: Credentials) -> None:
        """Holds the account, whose password was verified a moment ago, until the transaction ends.

        Meanwhile its owner may have changed the password, for fear of whoever is asking. Raises
        `InvalidInput` for the field `current_password`, which is a wrong one then, and
        `UserNotFound`.
        """
        # For writing: two who had both held it for reading would wait for each other.
        if self._users.hold(found.user.id) is None:
            raise UserNotFound
        if not self._users.hold_unchanged(found):
            raise wrong_current_password()

    def credentials_of(self, user_id: UUID) -> Credentials:
        """Raises `UserNotFound`."""
        found = self._users.credentials_of(user_id)
        if found is None:
            raise UserNotFound
        return found

    def _take_one_to_sign_in(
        self, email: str, user: User | None, visitor: Visitor
    ) -> tuple[Sequence[Limit], Sequence[Limit]]:
        """Counts an attempt, and returns the limits that it was counted under: for the account and
        for the address.

        Whoever attacks an account from elsewhere cannot keep its owner out: a browser that has
        signed in to it before has attempts of its own. When it has used them up, it is one like
        any other.
        """
        browser = visitor.browser_of(user) if user is not None else None
        if browser is not None:
            subject = f"{browser.user_id} {browser.id}"
            own = [self._limits.at_account("sign_in from a known browser", subject)]
            if self._attempts.are_left(own):
                return own, []
        account = [self._limits.at_account("sign_in", fold_email(email))]
        address = [self._limits.from_address("sign_in", visitor.address)]
        self._attempts.take([*address, *account], "sign_in", user)
        return account, address

    def _confirmed(self, verified: Credentials, password: str) -> Credentials:
        confirmed = self._confirmed_or_upgraded(verified, password)
        if confirmed is not None:
            return confirmed
        # Meanwhile the password was changed, or its hash upgraded by another sign-in.
        verified = self._verified(self._users.credentials_of(verified.user.id), password)
        if not self._users.hold_unchanged(verified):
            raise InvalidCredentials
        return verified

    def _verified(self, found: Credentials | None, password: str) -> Credentials:
        # The right password would cost less than a wrong one where the hash is of fewer rounds, so
        # that of a disabled account is not compared at all.
        if found is not None and not found.user.is_active:
            found = None
        known_hash = found.password_hash if found is not None else None
        if not self._hasher.verify(password, known_hash) or found is None:
            raise InvalidCredentials
        return found

    def _confirmed_or_upgraded(self, found: Credentials, password: str) -> Credentials | None:
        """Either holds the account as it is until the transaction ends. A change of the password
        ends all sessions; one that was begun with the old password must not slip in behind it."""
        if not self._hasher.needs_upgrade(found.password_hash):
            return found if self._users.hold_unchanged(found) else None
        upgraded = Credentials(found.user, self._hasher.hash(password))
        is_same = self._users.replace_password_hash(
            found.user.id, found.password_hash, upgraded.password_hash
        )
        # As it was in all else as well: a second factor may have been turned on meanwhile.
        return upgraded if is_same and self._users.hold_unchanged(upgraded) else None


def wrong_current_password() -> InvalidInput:
    return InvalidInput({"current_password": [Problem("wrong_password")]})


def refuse(**problems: Sequence[Problem]) -> None:
    """Raises `InvalidInput` with all fields that have problems, if any has."""
    found = {field: listed for field, listed in problems.items() if listed}
    if found:
        raise InvalidInput(found)


def presented_email_problems(email: str) -> Sequence[Problem]:
    """Looser than at sign-up: an address that merely looks odd is an unknown one, not an error."""
    if not email:
        return (Problem("required"),)
    if len(email) > EMAIL_MAX_LENGTH:
        return (Problem("too_long", {"maximum": EMAIL_MAX_LENGTH}),)
    if not is_storable(email):
        return (Problem("bad_characters"),)
    return ()
