"""What happened to an account, for its owner to look through."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from authapp.domain.events import Announcer, EventLog, NotificationsChanged, RecordedEvent
from authapp.domain.users import User, UserRepository

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """Events, the newest first; `older` is what to ask for `before` to see those before them."""

    events: Sequence[RecordedEvent]
    older: int | None


class Activity:
    """The use cases of one's own security events, for one request."""

    def __init__(self, events: EventLog, users: UserRepository, announcer: Announcer) -> None:
        self._events = events
        self._users = users
        self._announcer = announcer

    def of_user(self, user_id: UUID, *, before: int | None = None) -> ActivityPage:
        found = self._events.of_user(user_id, limit=PAGE_SIZE + 1, before=before)
        shown = [_for_owner(event) for event in found[:PAGE_SIZE]]
        return ActivityPage(shown, shown[-1].id if len(found) > PAGE_SIZE else None)

    def notify_sign_in(self, user_id: UUID, notify: bool) -> User:
        """Has a mail tell of sign-ins with new browsers, or not; raises `UserNotFound`."""
        user = self._users.notify_sign_in(user_id, notify)
        self._announcer.announce(NotificationsChanged(user=user, notify_sign_in=notify))
        return user


def _for_owner(event: RecordedEvent) -> RecordedEvent:
    """Where an administrator did it, the browser is theirs, and nobody else's business."""
    return replace(event, address=None, user_agent=None) if event.by else event
