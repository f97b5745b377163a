"""Security events in PostgreSQL."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Uuid, func, insert, literal, select

from authapp.domain.events import AccountEvent, RecordedEvent
from authapp.domain.sessions import Client
from authapp.repositories.batches import delete_batch
from authapp.repositories.connections import Connections
from authapp.repositories.schema import EventRow
from authapp.repositories.users import remaining

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
        # A parameter also where there is nobody: what is sent is the same for all.
        user_id = literal(event.user.id if event.user else None, Uuid)
        statement = insert(EventRow).values(
            kind=event.kind,
            # A user who has been deleted, in this transaction or by another, cannot be referred to.
            user_id=remaining(user_id).scalar_subquery(),
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

    def purge(self, age: timedelta, batch_size: int) -> int:
        """Deletes those older than `age` among so many with the lowest ids; commits at once, and
        says how many."""
        # Ids are given in about the order of the times, so no more than a batch is ever read.
        oldest = (
            select(EventRow.id, EventRow.created_at)
            .order_by(EventRow.id)
            .limit(batch_size)
            .subquery()
        )
        old = select(oldest.c.id).where(oldest.c.created_at < func.now() - literal(age))
        is_old = EventRow.id == func.any(func.array(old.scalar_subquery()))
        statement = delete_batch(EventRow.id, is_old, batch_size)
        return self._connections.outside(lambda c: c.execute(statement)).rowcount
