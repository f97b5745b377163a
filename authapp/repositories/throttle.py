"""Counters of attempts, in PostgreSQL: atomic, and right across processes and machines."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, case, delete, func, literal, update
from sqlalchemy.dialects.postgresql import insert

from authapp.domain.throttle import Limit, TooManyAttempts
from authapp.repositories.batches import delete_batch
from authapp.repositories.connections import Connections
from authapp.repositories.schema import ThrottleRow


class SqlThrottle:
    """Implements `authapp.domain.throttle.Throttle`: a counter for each limit and period."""

    def __init__(self, connections: Connections) -> None:
        self._run = connections.outside

    def take(self, limits: Sequence[Limit]) -> None:
        def work(connection: Connection) -> None:
            for limit in limits:
                count, rest = connection.execute(_count_one(limit)).one()
                if count > limit.rate.count:
                    is_first = count == limit.rate.count + 1
                    raise TooManyAttempts(limit, max(rest, timedelta(seconds=1)), is_first=is_first)

        self._run(work)

    def give_back(self, limits: Sequence[Limit]) -> None:
        if not limits:
            return
        statement = (
            update(ThrottleRow)
            .where(ThrottleRow.key.in_(_keys(limits)), ThrottleRow.count > 0)
            .values(count=ThrottleRow.count - 1)
        )
        self._run(lambda c: c.execute(statement))

    def clear(self, limits: Sequence[Limit]) -> None:
        statement = delete(ThrottleRow).where(ThrottleRow.key.in_(_keys(limits)))
        self._run(lambda c: c.execute(statement))

    def purge(self, batch_size: int) -> int:
        is_over = ThrottleRow.resets_at <= func.now()
        statement = delete_batch(ThrottleRow.key, is_over, batch_size)
        return self._run(lambda c: c.execute(statement)).rowcount


def _count_one(limit: Limit) -> Any:
    resets_at = func.now() + literal(limit.rate.period)
    new = insert(ThrottleRow).values(key=limit.key, count=1, resets_at=resets_at)
    is_over = ThrottleRow.resets_at <= func.now()
    return new.on_conflict_do_update(
        index_elements=[ThrottleRow.key],
        set_={
            "count": case((is_over, 1), else_=ThrottleRow.count + 1),
            "resets_at": case((is_over, new.excluded.resets_at), else_=ThrottleRow.resets_at),
        },
    ).returning(ThrottleRow.count, ThrottleRow.resets_at - func.now())


def _keys(limits: Iterable[Limit]) -> Sequence[bytes]:
    return [limit.key for limit in limits]
