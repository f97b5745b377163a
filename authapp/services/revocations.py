"""Ending what has been let in to an account, in the same transaction as what it is ended for."""

from uuid import UUID

from authapp.domain.events import Announcer, SessionsRevoked
from authapp.domain.mail import Letterbox, LetterKind
from authapp.domain.sessions import SessionDirectory, SessionEnded
from authapp.domain.tokens import TokenRepository
from authapp.domain.users import User


class Revocations:
    """Whoever revokes has written the row of the account before (decision 014): a sign-in that is
    under way holds it, and has stored its session by then."""

    def __init__(
        self,
        sessions: SessionDirectory,
        tokens: TokenRepository,
        letters: Letterbox,
        announcer: Announcer,
    ) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._letters = letters
        self._announcer = announcer

    def check_alive(self, session_id: UUID | None) -> None:
        """Makes sure that the session which asks was not ended a moment ago, for fear of whoever
        is asking, and holds it. To be asked once the account is held, as whoever revokes does it in
        this order. None stands for what is asked for outside of any session.

        Raises `SessionEnded`.
        """
        if session_id is not None and not self._sessions.hold(session_id):
            raise SessionEnded

    def of_sessions(
        self,
        user: User,
        *,
        keep: UUID | None = None,
        by: User | None = None,
        asked_for: bool = False,
    ) -> int:
        """Ends the user's sessions, but for the one with the id `keep`; says how many. `asked_for`
        says that nothing else is done to the account."""
        count = self._sessions.revoke_of_user(user.id, keep=keep)
        if count:
            event = SessionsRevoked(user=user, by=by, count=count, asked_for=asked_for)
            self._announcer.announce(event)
        return count

    def of_everything(
        self, user: User, *, keep: UUID | None = None, by: User | None = None
    ) -> None:
        """Also voids what would let somebody in later: links that were sent, and those that wait to
        be. A link to a new password that waits is made for whoever reads the account's mail then,
        and stays; the letter is dropped where the password was changed meanwhile."""
        self.of_sessions(user, keep=keep, by=by)
        # In this order: a letter that is being written has its token first, and then makes sure
        # that it has not been withdrawn.
        self._letters.withdraw(user.id, LetterKind.CHANGE_EMAIL)
        self._tokens.revoke(user.id)
