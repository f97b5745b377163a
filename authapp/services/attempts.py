"""Counting attempts, and telling of floods."""

from collections.abc import Sequence

from authapp.domain.events import Announcer, Throttled
from authapp.domain.throttle import Limit, Limits, Throttle, TooManyAttempts
from authapp.domain.users import User


class Attempts:
    """Counts what is attempted in one request."""

    def __init__(self, throttle: Throttle, limits: Limits, announcer: Announcer) -> None:
        self._throttle = throttle
        self.limits = limits
        self._announcer = announcer

    def take(self, limits: Sequence[Limit], action: str, user: User | None = None) -> None:
        """Counts an attempt at `action`, on the account of `user` if it is known.

        Raises `TooManyAttempts`, and announces it, once for each flood.
        """
        try:
            self._throttle.take(limits)
        except TooManyAttempts as refused:
            if refused.is_first:
                # A flood from one address is no news of the account that it has come to by now.
                whose = user if refused.limit.of_account else None
                self._announcer.announce(Throttled(user=whose, action=action))
            raise

    def are_left(self, limits: Sequence[Limit]) -> bool:
        """Counts one where being refused is no news, since there are other limits to go by."""
        try:
            self._throttle.take(limits)
        except TooManyAttempts:
            return False
        return True

    def give_back(self, limits: Sequence[Limit]) -> None:
        """It was none: whoever attempts it may."""
        self._throttle.give_back(limits)

    def clear(self, limits: Sequence[Limit]) -> None:
        """Neither were those before it."""
        self._throttle.clear(limits)
