"""Asking somebody who is signed in for the password once more, before what matters."""

from datetime import datetime, timedelta
from uuid import UUID

from authapp.domain.clock import Clock
from authapp.domain.errors import ConfirmationRequired
from authapp.domain.events import Announcer, IdentityConfirmed
from authapp.services.passwords import Passwords


class Confirmations:
    """Whether it is still the person who has signed in, for one request.

    A session keeps the time at which that was known last: `now`, of a sign-in, or of a password
    that was given since.
    """

    def __init__(
        self, passwords: Passwords, clock: Clock, announcer: Announcer, recent: timedelta
    ) -> None:
        self._passwords = passwords
        self._clock = clock
        self._announcer = announcer
        self._recent = recent

    def now(self) -> datetime:
        return self._clock.now()

    def check(self, confirmed_at: datetime | None) -> None:
        """Raises `ConfirmationRequired` where that is too long ago, or not known."""
        if confirmed_at is None or self._clock.now() - confirmed_at > self._recent:
            raise ConfirmationRequired

    def confirm(self, user_id: UUID, password: str) -> datetime:
        """Raises `InvalidInput` for the field `current_password`, `TooManyAttempts`, and
        `UserNotFound`."""
        found = self._passwords.check_current(user_id, password)
        self._announcer.announce(IdentityConfirmed(user=found.user))
        return self._clock.now()
