"""Looking at the sessions of one's own, and ending them."""

from collections.abc import Sequence
from uuid import UUID

from authapp.domain.events import Announcer, SessionsRevoked
from authapp.domain.sessions import SessionDirectory, SessionInfo, SessionNotFound
from authapp.domain.users import User
from authapp.services.revocations import Revocations


class OwnSessions:
    """The use cases of a user's own sessions, for one request."""

    def __init__(
        self, sessions: SessionDirectory, revocations: Revocations, announcer: Announcer
    ) -> None:
        self._sessions = sessions
        self._revocations = revocations
        self._announcer = announcer

    def of_user(self, user_id: UUID) -> Sequence[SessionInfo]:
        """The live ones, the one used last first."""
        return self._sessions.of_user(user_id)

    def end(self, user: User, session_id: UUID) -> None:
        """Raises `SessionNotFound` for a session that is not this user's, and leaves it alone."""
        if not self._sessions.revoke(session_id, of_user=user.id):
            raise SessionNotFound
        self._announcer.announce(SessionsRevoked(user=user, count=1, asked_for=True))

    def end_others(self, user: User, keep: UUID) -> int:
        """Ends all of the user's sessions but one, and says how many those were."""
        return self._revocations.of_sessions(user, keep=keep, asked_for=True)
