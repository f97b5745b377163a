"""The links that were sent by mail: whose they are, and whether they are good."""

from dataclasses import dataclass

from authapp.domain.tokens import (
    Purpose,
    Token,
    TokenInvalid,
    TokenRepository,
    is_token,
    token_hash,
)
from authapp.domain.users import Credentials, User, UserRepository, fold_email


@dataclass(frozen=True, slots=True)
class Link:
    """A link whose token is good, and the account that it is about, as of when it was looked at."""

    token_hash: bytes
    token: Token
    account: Credentials

    @property
    def user(self) -> User:
        return self.account.user


class Links:
    """Looks links up and uses them, for one request."""

    def __init__(self, tokens: TokenRepository, users: UserRepository) -> None:
        self._tokens = tokens
        self._users = users

    def find(self, token: str, *purposes: Purpose) -> Link:
        """Changes nothing. Raises `TokenInvalid`, also where the account is not as it was when the
        link was sent."""
        if not is_token(token):
            raise TokenInvalid
        hashed = token_hash(token)
        found = self._tokens.find(hashed)
        if found is None or found.purpose not in purposes:
            raise TokenInvalid
        account = self._users.credentials_of(found.user_id)
        if account is None or not is_for(found, account.user):
            raise TokenInvalid
        return Link(hashed, found, account)

    def use(self, link: Link, user: User) -> None:
        """Makes the link void, once the row of its account, which now is `user`, is held.

        Raises `TokenInvalid`, which undoes what was done to the row, if another request has used it
        or the account was changed in the meantime.
        """
        if not is_for(link.token, user) or not self._tokens.use(link.token_hash):
            raise TokenInvalid


def is_for(token: Token, user: User) -> bool:
    """Whether the account is active, and still has the address that the token was sent to, unless
    that is the one that it is to have."""
    is_current = fold_email(token.email) == fold_email(user.email)
    return user.is_active and (is_current or token.purpose is Purpose.CHANGE_EMAIL)
