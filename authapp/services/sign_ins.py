"""The end of a sign-in, whatever factors it took, and of being signed in."""

from authapp.domain.events import Announcer, SignedIn, SignedOut
from authapp.domain.users import User
from authapp.domain.visitors import Visitor


class SignIns:
    """Tells of people who come and go, for one request."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer

    def completed(self, user: User, visitor: Visitor, *, second_factor: bool = False) -> None:
        """All factors that the account has were given."""
        is_new = visitor.browser_of(user) is None
        event = SignedIn(user=user, new_device=is_new, second_factor=second_factor)
        self._announcer.announce(event)

    def ended(self, user: User) -> None:
        self._announcer.announce(SignedOut(user=user))
