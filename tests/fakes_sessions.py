"""The directory of sessions, in memory; `tests/contracts` holds it to what the real one does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from authapp.domain.sessions import SessionCounts, SessionInfo
from authapp.settings import SessionSettings


@dataclass
class InMemorySessionDirectory:
    """Implements `authapp.domain.sessions.SessionDirectory`. Time stands still."""

    settings: SessionSettings
    rows: dict[UUID, SessionInfo] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add(
        self,
        session_id: UUID,
        user_id: Any,
        *,
        unused_for: timedelta = timedelta(0),
        ends_in: timedelta = timedelta(days=1),
    ) -> SessionInfo:
        """What a sign-in does; not of the port."""
        self.rows[session_id] = SessionInfo(
            id=session_id,
            user_id=user_id,
            persistent=True,
            created_at=self.now - unused_for,
            last_seen_at=self.now - unused_for,
            expires_at=self.now + ends_in,
            address=None,
            user_agent=None,
        )
        return self.rows[session_id]

    def get(self, session_id: UUID) -> SessionInfo | None:
        row = self.rows.get(session_id)
        return row if row is not None and self._is_live(row) else None

    def of_user(self, user_id: Any) -> Sequence[SessionInfo]:
        found = [row for row in self.rows.values() if row.user_id == user_id and self._is_live(row)]
        return sorted(found, key=lambda row: row.last_seen_at, reverse=True)

    def hold(self, session_id: UUID) -> bool:
        return self.get(session_id) is not None

    def count(self) -> SessionCounts:
        live = [row for row in self.rows.values() if row.expires_at > self.now]
        signed_in = [row for row in live if row.user_id is not None]
        return SessionCounts(len(live), len(signed_in), expired=len(self.rows) - len(live))

    def revoke(self, session_id: UUID, *, of_user: Any = None) -> bool:
        return (
            self._delete(lambda row: row.id == session_id and of_user in (None, row.user_id)) == 1
        )

    def revoke_of_user(self, user_id: Any, *, keep: UUID | None = None) -> int:
        return self._delete(lambda row: row.user_id == user_id and row.id != keep)

    def purge(self, batch_size: int, *, exclusive: bool = False) -> int:
        expired = sorted(
            (row for row in self.rows.values() if row.expires_at <= self.now),
            key=lambda row: row.expires_at,
        )
        batch = {row.id for row in expired[:batch_size]}
        return self._delete(lambda row: row.id in batch)

    def _is_live(self, row: SessionInfo) -> bool:
        is_idle = row.last_seen_at <= self.now - self.settings.idle_timeout
        return row.expires_at > self.now and not is_idle

    def _delete(self, is_meant: Callable[[SessionInfo], bool]) -> int:
        kept = {id_: row for id_, row in self.rows.items() if not is_meant(row)}
        deleted, self.rows = len(self.rows) - len(kept), kept
        return deleted
