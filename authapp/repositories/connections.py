"""On which connection a statement runs: inside of the request's transaction, or outside of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import zope.sqlalchemy
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INERROR
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as DbSession

from authapp.repositories.engine import tell_retryable_errors

T = TypeVar("T")
Work = Callable[[Connection], T]


class Connections(Protocol):
    """Provides a connection for some work, and gives back what the work returns."""

    def inside(self, work: Work[T], /) -> T:
        """For what is committed or rolled back together with the request."""
        ...

    def outside(self, work: Work[T], /) -> T:
        """For what is not: each statement is a transaction by itself, in one round trip."""
        ...

    def beside(self, work: Work[T], /) -> T:
        """For reading, which can do with either."""
        ...

    def soon(self, work: Work[Any], /) -> None:
        """For what nobody waits for, and what may be lost."""
        ...

    def holds_locks(self) -> bool:
        """Whether the request's transaction may hold locks, so that it must wait for no others."""
        ...


class OwnConnections:
    """For work outside of any request; each statement is a transaction by itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def outside(self, work: Work[T], /) -> T:
        try:
            with _autocommit(self._engine) as connection:
                return work(connection)
        except DBAPIError as error:
            # All idle connections are dead after the server was restarted.
            if not error.connection_invalidated:
                raise
        with _autocommit(self._engine) as connection:
            return work(connection)

    inside = beside = outside

    def soon(self, work: Work[Any], /) -> None:
        self.outside(work)

    def holds_locks(self) -> bool:
        return False


class BoundConnections:
    """For work outside of any request that is one transaction: that of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def inside(self, work: Work[T], /) -> T:
        return work(self._connection)

    def outside(self, work: Work[T], /) -> T:
        return OwnConnections(self._connection.engine).outside(work)

    beside = soon = inside

    def holds_locks(self) -> bool:
        return True


class RequestScope(Protocol):
    """The part of a request that a transaction needs."""

    @property
    def dbsession(self) -> DbSession: ...

    @property
    def tm(self) -> Any: ...


class RequestConnections:
    """For the work of a request: the connection of its `dbsession`, and others of the same pool.

    A request that has a connection already borrows a second one only for `outside`. Requests that
    all did so could wait for each other, each holding its first.
    """

    def __init__(self, request: RequestScope) -> None:
        self._request = request

    def inside(self, work: Work[T], /) -> T:
        # The session's row may refer to a user whom this request has added.
        self._request.dbsession.flush()
        return work(self._joined())

    def outside(self, work: Work[T], /) -> T:
        bind = self._request.dbsession.get_bind()
        # Test suites bind a session to one connection, whose transaction they roll back.
        if not isinstance(bind, Engine):
            return work(self._joined())
        tell_retryable_errors(bind)
        return OwnConnections(bind).outside(work)

    def beside(self, work: Work[T], /) -> T:
        return work(self._joined()) if self._has_connection() else self.outside(work)

    def soon(self, work: Work[Any], /) -> None:
        """Where there is a connection, only just before the commit: a lock that was taken earlier
        would be held for as long as the request takes."""
        if self._has_connection():
            self._request.tm.get().addBeforeCommitHook(self.inside, (work,))
        else:
            self.outside(work)

    def holds_locks(self) -> bool:
        dbsession = self._request.dbsession
        if not (dbsession.in_transaction() and dbsession.is_active):
            return False
        # What has sent nothing yet can hold no lock.
        return _transaction_status(dbsession.connection()) != TRANSACTION_STATUS_IDLE

    def _has_connection(self) -> bool:
        dbsession = self._request.dbsession
        if not (dbsession.in_transaction() and dbsession.is_active):
            return False
        # After an error that the view has caught, PostgreSQL refuses all but ROLLBACK.
        return _transaction_status(dbsession.connection()) != TRANSACTION_STATUS_INERROR

    def _joined(self) -> Connection:
        connection = self._request.dbsession.connection()
        tell_retryable_errors(connection.engine)
        # Core's statements do not tell zope.sqlalchemy that there is something to commit.
        zope.sqlalchemy.mark_changed(self._request.dbsession, self._request.tm)
        return connection


class ApartConnections:
    """For the work of a request that is to be committed at once, whatever becomes of the rest."""

    def __init__(self, connections: Connections) -> None:
        self.outside = self.inside = self.beside = self.soon = connections.outside
        # Waiting for what its own request holds, it would wait for ever.
        self.holds_locks = connections.holds_locks


@contextmanager
def _autocommit(engine: Engine) -> Iterator[Connection]:
    """Lends a connection of the engine's pool, in autocommit mode for as long as it is lent.

    SQLAlchemy's isolation level "AUTOCOMMIT" would do the same, but resets the level with a
    statement, and so a round trip, of its own. The driver's switch is on the client's side.
    """
    with engine.connect() as connection:
        driver_connection: Any = connection.connection.dbapi_connection
        # psycopg2 would set a level other than the server's default by a statement, there and back.
        level, driver_connection.isolation_level = driver_connection.isolation_level, None
        driver_connection.autocommit = True
        try:
            yield connection
        finally:
            if not connection.invalidated:
                driver_connection.autocommit = False
                driver_connection.isolation_level = level


def _transaction_status(connection: Connection) -> int:
    driver_connection: Any = connection.connection.dbapi_connection
    status: int = driver_connection.info.transaction_status
    return status
