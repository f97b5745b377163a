"""Looking at the sessions of one's own, and ending them."""

from collections.abc import Sequence
from uuid import UUID

from authapp.domain.sessions import SessionDirectory, SessionInfo, SessionNotFound


class OwnSessions:
    """The use cases of a user's own sessions, for one request."""

    def __init__(self, sessions: SessionDirectory) -> None:
        self._sessions = sessions

    def of_user(self, user_id: UUID) -> Sequence[SessionInfo]:
        """The live ones, the one used last first."""
        return self._sessions.of_user(user_id)

    def end(self, user_id: UUID, session_id: UUID) -> None:
        """Raises `SessionNotFound` for a session that is not this user's, and leaves it alone."""
        if not self._sessions.revoke(session_id, of_user=user_id):
            raise SessionNotFound

    def end_others(self, user_id: UUID, keep: UUID) -> int:
        """Ends all of the user's sessions but one, and says how many those were."""
        return self._sessions.revoke_of_user(user_id, keep=keep)
