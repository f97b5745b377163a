"""Counting attempts, where one too many is news."""

from collections.abc import Sequence

from authapp.domain.events import Announcer, Throttled
from authapp.domain.throttle import Limit, Throttle, TooManyAttempts
from authapp.domain.users import User


class Attempts:
    """Counts attempts, for one request."""

    def __init__(self, throttle: Throttle, announcer: Announcer) -> None:
        self._throttle = throttle
        self._announcer = announcer

    def take(self, limits: Sequence[Limit], action: str, user: User | None = None) -> None:
        """Raises `TooManyAttempts`, and tells of the first of them."""
        try:
            self._throttle.take(limits)
        except TooManyAttempts as refused:
            if refused.is_first:
                self._announcer.announce(Throttled(user=user, action=action))
            raise
