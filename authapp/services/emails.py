"""The address of an account: showing that it is one's own, and changing it."""

from collections.abc import Sequence
from uuid import UUID

from authapp.domain.errors import InvalidInput, Problem, UserNotFound
from authapp.domain.events import Announcer, EmailChanged, EmailChangeRequested, EmailVerified
from authapp.domain.mail import Letter, Letterbox, LetterKind
from authapp.domain.notices import params_of
from authapp.domain.tokens import Purpose, TokenInvalid, TokenRepository
from authapp.domain.users import User, UserRepository, email_problems, fold_email
from authapp.services.attempts import Attempts
from authapp.services.links import Link, Links
from authapp.services.passwords import Passwords
from authapp.services.revocations import Revocations


class Emails:
    """The use cases of addresses, for one request."""

    def __init__(
        self,
        *,
        users: UserRepository,
        tokens: TokenRepository,
        letters: Letterbox,
        passwords: Passwords,
        attempts: Attempts,
        revocations: Revocations,
        announcer: Announcer,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._links = Links(tokens, users)
        self._letters = letters
        self._passwords = passwords
        self._attempts = attempts
        self._limits = attempts.limits
        self._revocations = revocations
        self._announcer = announcer

    def request_change(
        self,
        user_id: UUID,
        new_email: str,
        current_password: str,
        *,
        session_id: UUID | None = None,
    ) -> None:
        """Has a link sent to `new_email` that completes the change, and a notice to the old one.

        The link of an earlier request is void. Raises `InvalidInput` for the fields `email` and
        `current_password`, `TooManyAttempts`, `UserNotFound`, and `SessionEnded`.
        """
        new_email = new_email.strip()
        user = self._passwords.credentials_of(user_id).user
        problems = _new_email_problems(new_email, user)
        found = self._passwords.check_current(user_id, current_password, email=problems)
        self._take_letter(user, new_email)
        if self._users.by_email(new_email) is not None:
            raise InvalidInput({"email": [Problem("email_taken")]})
        self._passwords.hold_unchanged(found)
        self._revocations.check_alive(session_id)
        self._letters.withdraw(user.id, LetterKind.CHANGE_EMAIL)
        self._tokens.revoke(user.id, Purpose.CHANGE_EMAIL)
        params = {**params_of(user), "new_email": new_email}
        self._letters.put(Letter(LetterKind.CHANGE_EMAIL, new_email, user.id, params))
        self._announcer.announce(EmailChangeRequested(user=user, new_email=new_email))

    def request_verification(self, user: User) -> bool:
        """Has a link sent to the account's address, and says whether there was a need to.

        Raises `TooManyAttempts`.
        """
        if user.email_verified_at is not None:
            return False
        self._take_letter(user, user.email)
        self._letters.withdraw(user.id, LetterKind.VERIFY_EMAIL)
        letter = Letter(LetterKind.VERIFY_EMAIL, user.email, user.id, params_of(user))
        self._letters.put(letter)
        return True

    def find(self, token: str) -> Link:
        """Changes nothing. Raises `TokenInvalid`."""
        return self._links.find(token, Purpose.VERIFY_EMAIL, Purpose.CHANGE_EMAIL)

    def verify(self, token: str, *, keep: UUID | None) -> User:
        """Notes that the address is the person's own, or makes a new one theirs.

        A new address ends the account's sessions, but for the one with the id `keep`. Raises
        `TokenInvalid`, and `EmailTaken` for a new address that somebody else has by now.
        """
        link = self.find(token)
        try:
            if link.token.purpose is Purpose.CHANGE_EMAIL:
                return self._change(link, keep)
            return self._verify(link)
        except UserNotFound:
            raise TokenInvalid from None

    def _verify(self, link: Link) -> User:
        user = self._users.verify_email(link.user.id)
        self._links.use(link, user)
        self._letters.withdraw(user.id, LetterKind.VERIFY_EMAIL)
        self._tokens.revoke(user.id, Purpose.VERIFY_EMAIL)
        self._announcer.announce(EmailVerified(user=user))
        return user

    def _change(self, link: Link, keep: UUID | None) -> User:
        user = self._users.change_email(link.user.id, link.token.email)
        self._links.use(link, user)
        self._announcer.announce(EmailChanged(user=user, old_email=link.user.email))
        self._letters.withdraw(user.id, LetterKind.VERIFY_EMAIL)
        self._revocations.of_everything(user, keep=keep)
        return user

    def _take_letter(self, user: User, recipient: str) -> None:
        """Neither may one account have letters sent without end, nor may one mailbox get them."""
        limits = [
            self._limits.at_account("mail", user.id),
            self._limits.at_account("mail to", fold_email(recipient)),
        ]
        self._attempts.take(limits, "mail", user)


def _new_email_problems(email: str, user: User) -> Sequence[Problem]:
    if fold_email(email) == fold_email(user.email):
        return (Problem("same_email"),)
    return email_problems(email)
