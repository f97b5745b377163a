"""A new password for whoever has forgotten the old one, and reads the account's mail."""

from authapp.domain.events import Announcer, EmailVerified, PasswordReset
from authapp.domain.mail import Letter, Letterbox, LetterKind
from authapp.domain.passwords import PasswordHasher, PasswordPolicy
from authapp.domain.tokens import Purpose, TokenInvalid, TokenRepository
from authapp.domain.users import User, UserRepository, fold_email
from authapp.domain.visitors import Visitor
from authapp.services.attempts import Attempts
from authapp.services.links import Link, Links
from authapp.services.passwords import presented_email_problems, refuse
from authapp.services.revocations import Revocations


class Recovery:
    """The use cases of a forgotten password, for one request."""

    def __init__(
        self,
        *,
        users: UserRepository,
        tokens: TokenRepository,
        letters: Letterbox,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        attempts: Attempts,
        revocations: Revocations,
        announcer: Announcer,
    ) -> None:
        self._users = users
        self._links = Links(tokens, users)
        self._letters = letters
        self._hasher = hasher
        self._policy = policy
        self._attempts = attempts
        self._limits = attempts.limits
        self._revocations = revocations
        self._announcer = announcer

    def request_reset(self, email: str, visitor: Visitor) -> None:
        """Has a link sent to `email`, if there is an active account with this address.

        Nobody is told whether there is, nor can they tell by the time that it takes: the account
        is looked for when the letter is sent. Raises `InvalidInput` for what could be no address,
        and `TooManyAttempts`.
        """
        email = email.strip()
        refuse(email=presented_email_problems(email))
        limits = [
            self._limits.from_address("reset", visitor.address),
            self._limits.at_account("reset", fold_email(email)),
        ]
        self._attempts.take(limits, "reset")
        self._letters.put(Letter(LetterKind.RESET_PASSWORD, email))

    def find(self, token: str) -> Link:
        """Changes nothing. Raises `TokenInvalid`."""
        return self._links.find(token, Purpose.RESET_PASSWORD)

    def reset(self, token: str, new_password: str) -> User:
        """Sets a new password and ends all sessions of the account.

        Raises `TokenInvalid`, and `InvalidInput` for the field `new_password`, after which the
        token is as good as before.
        """
        link = self.find(token)
        user = link.user
        problems = self._policy.problems(new_password, name=user.name, email=user.email)
        refuse(new_password=problems)
        # Before anything is written, so that no row is locked meanwhile.
        new_hash = self._hasher.hash(new_password)
        self._forgive(user)
        user = self._change_password(link, new_hash)
        self._links.use(link, user)
        self._announcer.announce(PasswordReset(user=user))
        self._revocations.of_everything(user)
        if user.email_verified_at is None:
            # The link has come through the mailbox.
            self._letters.withdraw(user.id, LetterKind.VERIFY_EMAIL)
            user = self._users.verify_email(user.id)
            self._announcer.announce(EmailVerified(user=user))
        return user

    def _forgive(self, user: User) -> None:
        """Forgets failed attempts at the account, so that its owner gets in although others go on
        guessing. This commits by itself, on a connection of its own, and so comes before the
        request has one."""
        self._attempts.clear(
            [
                self._limits.at_account("sign_in", fold_email(user.email)),
                self._limits.at_account("password", user.id),
            ]
        )

    def _change_password(self, link: Link, new_hash: str) -> User:
        """The account, which from now on nobody else can change before the transaction ends.

        A sign-in may have upgraded the hash of the old password since it was read. If the password
        was changed, the token is void by now, as will turn out when it is used.
        """
        account = link.account
        changed = self._users.change_password(account.user.id, account.password_hash, new_hash)
        if changed is not None:
            return changed
        current = self._users.credentials_of(account.user.id)
        if current is not None:
            changed = self._users.change_password(current.user.id, current.password_hash, new_hash)
        if changed is None:
            raise TokenInvalid
        return changed
