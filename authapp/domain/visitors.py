"""Who makes an attempt, as far as it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authapp.domain.users import User


@dataclass(frozen=True, slots=True)
class KnownBrowser:
    """The account `user_id` was signed in to with the browser, at `since` by the database's clock;
    `id` names this one of its browsers."""

    id: str
    user_id: UUID
    since: datetime

    def is_known_to(self, user: User) -> bool:
        """Not after the password was changed: who had the old one need not have been the owner."""
        return self.user_id == user.id and self.since >= user.password_changed_at


@dataclass(frozen=True, slots=True)
class Visitor:
    """`address` is the client's, as the trusted proxy says, and `browsers` what the browser is to
    each of the accounts that have signed in with it before."""

    address: str | None
    browsers: Sequence[KnownBrowser] = ()

    def browser_of(self, user: User) -> KnownBrowser | None:
        """What the browser is to this account, if it is known to it."""
        return next((known for known in self.browsers if known.is_known_to(user)), None)
