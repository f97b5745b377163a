"""Security events in PostgreSQL."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Uuid, delete, func, insert, literal, select

from authapp.domain.events import AccountEvent, RecordedEvent
from authapp.domain.sessions import Client
from authapp.repositories.connections import Connections
from authapp.repositories.schema import EventRow, UserRow

_COLUMNS = (
    EventRow.id,
    EventRow.kind,
    EventRow.created_at,
    EventRow.user_id,
    EventRow.by_id,
    EventRow.address,
    EventRow.user_agent,
    EventRow.details,
)


class SqlEventLog:
    """Implements `authapp.domain.events.EventLog`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(self, event: AccountEvent, client: Client) -> None:
        """Writes the event down with the transaction, or at once, as its class says."""
        # A user who has been deleted, in this transaction or by another, cannot be referred to.
        # A parameter also where there is none: what is sent is the same for all.
        user_id = literal(event.user.id if event.user else None, Uuid)
        existing = select(UserRow.id).where(UserRow.id == user_id).scalar_subquery()
        statement = insert(EventRow).values(
            kind=event.kind,
            user_id=existing,
            by_id=event.by.id if event.by else None,
            address=client.address,
            user_agent=client.user_agent,
            details=dict(event.details),
        )
        run = self._connections.outside if event.outlives_rollback else self._connections.inside
        run(lambda c: c.execute(statement))

    def of_user(
        self, user_id: UUID, *, limit: int, before: int | None = None
    ) -> Sequence[RecordedEvent]:
        statement = select(*_COLUMNS).where(EventRow.user_id == user_id)
        if before is not None:
            statement = statement.where(EventRow.id < before)
        statement = statement.order_by(EventRow.id.desc()).limit(limit)
        rows = self._connections.beside(lambda c: c.execute(statement).all())
        return [RecordedEvent(*row) for row in rows]

    def purge(self, age: timedelta, batch_size: int = 10_000) -> int:
        """Deletes up to `batch_size` of those older than `age`; commits at once, and says how many
        those were."""
        old = (
            select(EventRow.id)
            .where(EventRow.created_at < func.now() - literal(age))
            .limit(batch_size)
        )
        statement = delete(EventRow).where(
            EventRow.id == func.any(func.array(old.scalar_subquery()))
        )
        return self._connections.outside(lambda c: c.execute(statement)).rowcount
