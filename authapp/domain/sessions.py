"""Sessions as the store keeps them, and the port through which a web session reaches its store.

Nothing here knows of accounts: `user_id` is whatever key the application's users have, and
`owner` whatever the application chose to load along with the session.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from authapp.domain.purging import PURGE_BATCH_SIZE, in_batches


class OwnerGone(Exception):
    """The user whom a session was to be written for has been deleted in the meantime."""


class SessionEnded(Exception):
    """The session that asks was ended while its request was under way."""


class SessionNotFound(Exception):
    """The user has no such session: it has ended, or is somebody else's, or there never was one."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A live session as it was when it was loaded. `data` is the text of a JSON object."""

    id: UUID
    token_hash: bytes = field(repr=False)
    user_id: Any
    data: str
    persistent: bool
    created_at: datetime
    expires_at: datetime
    touch_due: bool
    owner: Any = None


@dataclass(frozen=True, slots=True)
class Client:
    """Where a session was started from, as far as the request tells."""

    address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be stored. `data` maps keys to JSON texts; `token_hash` is a SHA-256 digest."""

    id: UUID
    token_hash: bytes
    user_id: Any
    persistent: bool
    data: Mapping[str, str]
    client: Client


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new token for a stored session: the old one is dead once this is committed."""

    token_hash: bytes
    user_id: Any
    persistent: bool
    client: Client


@dataclass(frozen=True, slots=True)
class DataChange:
    """Which keys changed, as JSON texts: from what (None where absent) to what (None: removed)."""

    before: Mapping[str, str | None] = field(default_factory=dict)
    after: Mapping[str, str | None] = field(default_factory=dict)


class Outcome(Enum):
    """What became of an update."""

    WRITTEN = "written"
    CONFLICT = "conflict"  # Another request changed one of the same keys in the meantime.
    SUPERSEDED = "superseded"  # The session lives on, under another token or as a user's.
    ENDED = "ended"  # Signed out, revoked, expired or purged in the meantime.


class SessionStore(Protocol):
    """Where sessions are kept: one instance a request, all of it within the request's transaction.

    `load` and `touch` may run outside of that transaction, where they cost one round trip.
    `insert` and `update` raise `OwnerGone`.
    """

    def load(self, token_hashes: Sequence[bytes], *, lock: bool) -> SessionRecord | None:
        """The live session with one of these tokens, of several the one that was begun last; with
        `lock`, held until the transaction ends."""
        ...

    def refresh(self, session_id: UUID) -> SessionRecord | None:
        """The live session with this id, as the transaction sees it."""
        ...

    def touch(self, record: SessionRecord) -> None:
        """Writes down that the session is in use, at most once an interval, now or with the
        commit."""
        ...

    def insert(self, session: NewSession) -> bool:
        """Stores a new session, unless its token names one already, and says whether it did."""
        ...

    def update(
        self, record: SessionRecord, change: DataChange, rotation: Rotation | None
    ) -> Outcome:
        """Writes only what changed, and only if the session lives on: as the same user's, or, with
        `rotation`, under the record's token."""
        ...

    def delete(self, record: SessionRecord) -> Outcome:
        """Ends the session: WRITTEN or, when there was nothing to end, ENDED; or CONFLICT."""
        ...

    def apart(self) -> "SessionStore":
        """The same store, except that each write commits at once, by itself."""
        ...


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What people and operators see of a live session; it is named by its public id only."""

    id: UUID
    user_id: Any
    persistent: bool
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """How many there are. `expired` ones are past their deadline and wait for the purge; `live`
    ones are not, although some of them may have been idle for too long."""

    live: int
    signed_in: int
    expired: int


class SessionDirectory(Protocol):
    """Looking at sessions, and ending them, from outside of them."""

    def get(self, session_id: UUID) -> SessionInfo | None: ...

    def of_user(self, user_id: Any) -> Sequence[SessionInfo]:
        """The user's live sessions, the one used last first."""
        ...

    def hold(self, session_id: UUID) -> bool:
        """Whether the session lives; if so, nobody can end it before the transaction ends."""
        ...

    def count(self) -> SessionCounts: ...

    def revoke(self, session_id: UUID, *, of_user: Any = None) -> bool:
        """Ends a session, with `of_user` only if it is that user's, also when it changes hands at
        this very moment; and says whether there was one to end."""
        ...

    def revoke_of_user(self, user_id: Any, *, keep: UUID | None = None) -> int:
        """Ends the user's sessions, but for `keep`, and says how many those were."""
        ...

    def purge(self, batch_size: int, *, exclusive: bool = False) -> int:
        """Deletes up to `batch_size` expired sessions in a transaction of its own, and says how
        many. Rows that another purge is deleting are passed over; with `exclusive`, none are
        deleted while another exclusive purge is at it, on whatever machine."""
        ...


def purge(
    directory: SessionDirectory, *, batch_size: int = PURGE_BATCH_SIZE, exclusive: bool = False
) -> Iterator[int]:
    """Deletes all expired sessions, in short transactions, and yields how many each has deleted.

    Several may run side by side: each passes over the rows that another is at. With `exclusive`,
    one that finds another at work stops.
    """
    return in_batches(partial(directory.purge, exclusive=exclusive), batch_size)
