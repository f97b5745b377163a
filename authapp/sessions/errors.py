"""What can go wrong with a session."""

from transaction.interfaces import TransientError


class SessionConflict(TransientError):  # type: ignore[misc]  # It has no types.
    """Another request has changed what this one was about to change; to be tried again."""


class SessionTooLarge(ValueError):
    """The session's data would exceed `session.max_size`."""


class SessionNotWritable(RuntimeError):
    """The session was changed where nothing would write it."""


class SessionNotAllowed(RuntimeError):
    """The session was used in a view that is declared to do without: `session="none"`."""


class SessionLost(RuntimeError):
    """The session was changed, and the change rolled back behind a redirect."""
