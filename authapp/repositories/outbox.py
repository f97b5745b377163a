"""The outbox in PostgreSQL: a queue that several workers empty without waiting for each other."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Uuid, and_, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB

from authapp.domain.mail import Letter, LetterKind, OutboxCounts, PostedLetter
from authapp.repositories.batches import delete_batch
from authapp.repositories.connections import Connections
from authapp.repositories.schema import LetterRow
from authapp.repositories.users import remaining


class SqlOutbox:
    """Implements `authapp.domain.mail.Outbox`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def put(self, letter: Letter) -> None:
        values: dict[Any, Any] = {
            LetterRow.kind: literal(letter.kind),
            LetterRow.recipient: literal(letter.recipient),
            LetterRow.user_id: literal(letter.user_id, Uuid),
            LetterRow.params: literal(dict(letter.params), JSONB),
        }
        row = select(*values.values())
        if letter.user_id is not None:
            row = row.where(remaining(letter.user_id).exists())
        statement = insert(LetterRow).from_select(list(values), row)
        self._connections.inside(lambda c: c.execute(statement))

    def withdraw(self, user_id: UUID, *kinds: LetterKind) -> None:
        statement = delete(LetterRow).where(LetterRow.user_id == user_id, LetterRow.kind.in_(kinds))
        self._connections.inside(lambda c: c.execute(statement))

    def claim(self, limit: int, lease: timedelta) -> Sequence[PostedLetter]:
        due = (
            select(LetterRow.id)
            # What a newer version of authapp has put there is left to that.
            .where(LetterRow.due_at <= func.now(), LetterRow.kind.in_(list(LetterKind)))
            .order_by(LetterRow.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(LetterRow)
            .where(LetterRow.id == func.any(func.array(due.scalar_subquery())))
            .values(due_at=func.now() + literal(lease), attempts=LetterRow.attempts + 1)
            .returning(
                LetterRow.id,
                LetterRow.kind,
                LetterRow.recipient,
                LetterRow.user_id,
                LetterRow.params,
                LetterRow.attempts,
                LetterRow.created_at,
            )
        )
        rows = self._connections.outside(lambda c: c.execute(statement).all())
        return sorted(map(_to_posted, rows), key=lambda posted: posted.created_at)

    def hold(self, posted: PostedLetter, lease: timedelta) -> bool:
        statement = (
            update(LetterRow)
            .where(LetterRow.id == posted.id, LetterRow.attempts == posted.attempt)
            .values(due_at=func.now() + literal(lease))
        )
        return self._connections.outside(lambda c: c.execute(statement)).rowcount == 1

    def sent(self, letter_id: UUID) -> None:
        statement = delete(LetterRow).where(LetterRow.id == letter_id)
        self._connections.outside(lambda c: c.execute(statement))

    def failed(self, letter_id: UUID, reason: str, retry_in: timedelta | None) -> None:
        due_at = func.now() + literal(retry_in) if retry_in is not None else None
        statement = (
            update(LetterRow).where(LetterRow.id == letter_id).values(error=reason, due_at=due_at)
        )
        self._connections.outside(lambda c: c.execute(statement))

    def counts(self) -> OutboxCounts:
        statement = select(
            func.count().filter(LetterRow.due_at.is_not(None)),
            func.count().filter(LetterRow.due_at.is_(None)),
        )
        return OutboxCounts(*self._connections.beside(lambda c: c.execute(statement).one()))

    def retry(self) -> int:
        statement = (
            update(LetterRow)
            .where(LetterRow.due_at.is_(None))
            .values(due_at=func.now(), attempts=0, error=None)
        )
        return self._connections.outside(lambda c: c.execute(statement)).rowcount

    def purge(self, age: timedelta, batch_size: int) -> int:
        """Deletes up to so many of those that were given up and are older than `age`; commits at
        once, and says how many."""
        is_over = and_(LetterRow.due_at.is_(None), LetterRow.created_at < func.now() - literal(age))
        statement = delete_batch(LetterRow.id, is_over, batch_size)
        return self._connections.outside(lambda c: c.execute(statement)).rowcount


def _to_posted(row: Row[Any]) -> PostedLetter:
    letter = Letter(LetterKind(row.kind), row.recipient, row.user_id, row.params)
    return PostedLetter(row.id, letter, row.attempts, row.created_at)
