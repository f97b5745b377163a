"""Sessions in PostgreSQL: one SELECT to load, one guarded UPDATE to write, never an upsert.

All deadlines are compared with the database's clock, so that the clocks of the machines that
serve requests do not matter.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar
from uuid import UUID

import zope.sqlalchemy
from psycopg2.errors import ForeignKeyViolation
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INERROR
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Select,
    Text,
    Update,
    bindparam,
    cast,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session as DbSession

from authapp.domain.sessions import (
    DataChange,
    NewSession,
    Outcome,
    OwnerGone,
    Rotation,
    SessionCounts,
    SessionInfo,
    SessionRecord,
)
from authapp.repositories.engine import tell_retryable_errors
from authapp.settings import SessionSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

_PURGE_LOCK = 0x61757468  # An advisory lock's number: "auth", in ASCII.


class RequestScope(Protocol):
    """The part of a request that a transaction needs."""

    @property
    def dbsession(self) -> DbSession: ...

    @property
    def tm(self) -> Any: ...


class Runner(Protocol):
    """Does some work on a connection that it provides."""

    def __call__(self, work: Callable[[Connection], T], /) -> T: ...


def inside_transaction_of(request: RequestScope) -> Runner:
    """Runs what is committed or rolled back together with the request."""

    def run(work: Callable[[Connection], T], /) -> T:
        # The session's row may refer to a user whom this request has added.
        request.dbsession.flush()
        return work(_joined_connection(request))

    return run


def beside_transaction_of(request: RequestScope, outside: Runner) -> Runner:
    """Runs what need not be part of the transaction: on the connection that the request has taken
    already, else `outside`.

    Requests that borrowed a second connection could wait for each other, each holding its first.
    """

    def run(work: Callable[[Connection], T], /) -> T:
        if _has_usable_connection(request.dbsession):
            return work(_joined_connection(request))
        return outside(work)

    return run


def _joined_connection(request: RequestScope) -> Connection:
    dbsession = request.dbsession
    connection = dbsession.connection()
    tell_retryable_errors(connection.engine)
    # Core's statements do not tell zope.sqlalchemy that there is something to commit.
    zope.sqlalchemy.mark_changed(dbsession, request.tm)
    return connection


def _has_usable_connection(dbsession: DbSession) -> bool:
    # After an error that the view has caught, PostgreSQL refuses all but ROLLBACK.
    if not (dbsession.in_transaction() and dbsession.is_active):
        return False
    driver_connection: Any = dbsession.connection().connection.dbapi_connection
    return bool(driver_connection.info.transaction_status != TRANSACTION_STATUS_INERROR)


def outside_transaction(engine: Engine) -> Runner:
    """Runs each statement by itself: one round trip, without BEGIN, COMMIT and ROLLBACK."""

    def run(work: Callable[[Connection], T], /) -> T:
        try:
            with _autocommit(engine) as connection:
                return work(connection)
        except DBAPIError as error:
            # All idle connections are dead after the server was restarted.
            if not error.connection_invalidated:
                raise
        with _autocommit(engine) as connection:
            return work(connection)

    return run


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


@dataclass(frozen=True, slots=True)
class Owner:
    """What is loaded along with a session: the row of `table` whose `key` is the session's user.

    `build` makes the application's object of that row, which has `columns`.
    """

    table: FromClause
    key: Any
    columns: Sequence[Any]
    build: Callable[[Sequence[Any]], Any]


class SessionQueries:
    """The statements over one sessions table, built once for all requests."""

    def __init__(self, table: Any, settings: SessionSettings, owner: Owner | None) -> None:
        self.table = table
        self.owner = owner
        self.is_live = (
            table.c.expires_at > func.now(),
            table.c.last_seen_at > func.now() - literal(settings.idle_timeout),
        )
        self._expires_at = func.now() + literal(settings.lifetime)
        self.load = self._load(settings)
        # Weaker than FOR UPDATE, so that rows that refer to the session can be inserted meanwhile.
        self.load_and_lock = self.load.with_for_update(of=table, key_share=True)
        self.touch = self._touch(settings)
        self.delete = delete(table).where(table.c.id == bindparam("session_id"))
        self.token_hash = select(table.c.token_hash).where(
            table.c.id == bindparam("session_id"), table.c.expires_at > func.now()
        )

    def _load(self, settings: SessionSettings) -> Select[Any]:
        t, owner = self.table.c, self.owner
        touch_due = t.last_seen_at <= func.now() - literal(settings.touch_interval)
        # The data come as text: most requests need only the owner, and never parse them.
        columns = [
            t.id,
            t.user_id,
            cast(t.data, Text),
            t.persistent,
            t.created_at,
            t.expires_at,
            touch_due,
        ]
        tables: FromClause = self.table
        if owner is not None:
            columns += owner.columns
            tables = self.table.outerjoin(owner.table, owner.key == t.user_id)
        return (
            select(*columns)
            .select_from(tables)
            .where(t.token_hash == bindparam("token_hash"), *self.is_live)
        )

    def _touch(self, settings: SessionSettings) -> Update:
        t = self.table.c
        # Of many requests at once the first writes; the others neither wait for it nor write.
        due = (
            select(t.id)
            .where(
                t.id == bindparam("session_id"),
                t.last_seen_at <= func.now() - literal(settings.touch_interval),
            )
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        values: dict[str, Any] = {"last_seen_at": func.now()}
        if settings.rolling:
            values["expires_at"] = self._expires_at
        return update(self.table).where(t.id == due).values(values)

    def insert(self, session: NewSession) -> Any:
        statement = insert(self.table).on_conflict_do_nothing(index_elements=["token_hash"])
        return statement.values(
            id=session.id,
            token_hash=session.token_hash,
            user_id=session.user_id,
            persistent=session.persistent,
            data=_jsonb(_json_object(session.data)),
            expires_at=self._expires_at,
            address=session.client.address,
            user_agent=session.client.user_agent,
        )

    def update(
        self, record: SessionRecord, change: DataChange, rotation: Rotation | None, *, wait: bool
    ) -> Update:
        """Compares and sets: each key that changed must still have the value it was read with.

        Keys that others changed meanwhile are left alone, which is how parallel requests merge:
        the second of two waits for the first, and is evaluated again on the row as that left it.

        Without `wait` a row that another request has locked is as good as one that it has changed.
        A request that holds locks already must not wait for the session's: one that is run again
        takes this lock first, then the others, and the two would wait for each other.
        """
        t = self.table.c
        guards = [
            t.data.op("->")(literal(key, Text)).is_not_distinct_from(_jsonb(value))
            for key, value in change.before.items()
        ]
        session_id: Any = record.id
        if not wait:
            free = select(t.id).where(t.id == record.id)
            free = free.with_for_update(skip_locked=True, key_share=rotation is None)
            session_id = free.scalar_subquery()
        values: dict[str, Any] = {}
        if change.after:
            values["data"] = self._changed_data(change.after)
        if rotation is not None:
            values |= {
                "token_hash": rotation.token_hash,
                "user_id": rotation.user_id,
                "persistent": rotation.persistent,
                "last_seen_at": func.now(),
                "expires_at": self._expires_at,
                "address": rotation.client.address,
                "user_agent": rotation.client.user_agent,
            }
        return (
            update(self.table)
            .where(
                t.id == session_id,
                t.token_hash == record.token_hash,
                t.expires_at > func.now(),
                *guards,
            )
            .values(values)
        )

    def _changed_data(self, after: Mapping[str, str | None]) -> ColumnElement[Any]:
        removed = [key for key, text in after.items() if text is None]
        data: ColumnElement[Any] = self.table.c.data
        if removed:
            data = data.op("-")(cast(removed, ARRAY(Text)))
        return data.op("||")(
            _jsonb(_json_object({key: text for key, text in after.items() if text is not None}))
        )


class SqlSessionStore:
    """Implements `authapp.domain.sessions.SessionStore` for one request."""

    def __init__(
        self, queries: SessionQueries, *, beside: Runner, inside: Runner, outside: Runner
    ) -> None:
        """`inside` runs what is part of the transaction, `beside` what need not be, and `outside`
        what must not be."""
        self._queries = queries
        self._beside = beside
        self._inside = inside
        self._outside = outside

    def apart(self) -> "SqlSessionStore":
        outside = self._outside
        return SqlSessionStore(self._queries, beside=outside, inside=outside, outside=outside)

    def load(self, token_hash: bytes, *, lock: bool) -> SessionRecord | None:
        run = self._inside if lock else self._beside
        statement = self._queries.load_and_lock if lock else self._queries.load
        row = run(lambda c: c.execute(statement, {"token_hash": token_hash}).one_or_none())
        return self._to_record(tuple(row), token_hash) if row is not None else None

    def touch(self, record: SessionRecord) -> None:
        self._beside(lambda c: c.execute(self._queries.touch, {"session_id": record.id}))

    def insert(self, session: NewSession) -> bool:
        result = self._write_owned(lambda c: self._queries.insert(session))
        return bool(result.rowcount == 1)

    def update(
        self, record: SessionRecord, change: DataChange, rotation: Rotation | None
    ) -> Outcome:
        result = self._write_owned(
            lambda c: self._queries.update(record, change, rotation, wait=_holds_nothing(c))
        )
        if result.rowcount == 1:
            return Outcome.WRITTEN
        of_session = {"session_id": record.id}
        token_hash = self._inside(
            lambda c: c.execute(self._queries.token_hash, of_session).scalar_one_or_none()
        )
        if token_hash is None:
            return Outcome.ENDED
        return Outcome.CONFLICT if token_hash == record.token_hash else Outcome.SUPERSEDED

    def delete(self, record: SessionRecord) -> None:
        self._inside(lambda c: c.execute(self._queries.delete, {"session_id": record.id}))

    def _write_owned(self, statement: Any) -> Any:
        try:
            return self._inside(lambda c: c.execute(statement(c)))
        except IntegrityError as error:
            if self._tells_that_the_owner_is_gone(error.orig):
                raise OwnerGone from error
            raise

    def _tells_that_the_owner_is_gone(self, error: BaseException | None) -> bool:
        # Rows that the application has added, and that are sent along, may refer to nothing too.
        table_name = self._queries.table.name
        return isinstance(error, ForeignKeyViolation) and error.diag.table_name == table_name

    def _to_record(self, row: tuple[Any, ...], token_hash: bytes) -> SessionRecord | None:
        session_id, user_id, data, persistent, created_at, expires_at, touch_due, *of_owner = row
        if not data.startswith("{"):
            log.warning("session %s has data that is no object; it is taken as ended", session_id)
            return None
        owner = self._queries.owner
        return SessionRecord(
            id=session_id,
            token_hash=token_hash,
            user_id=user_id,
            data=data,
            persistent=persistent,
            created_at=created_at,
            expires_at=expires_at,
            touch_due=touch_due,
            owner=owner.build(of_owner) if owner and user_id is not None else None,
        )


class SqlSessionDirectory:
    """Implements `authapp.domain.sessions.SessionDirectory`."""

    def __init__(self, queries: SessionQueries, run: Runner, run_apart: Runner) -> None:
        """`run_apart` runs each statement in a transaction of its own."""
        self._table = queries.table
        self._is_live = queries.is_live
        self._run = run
        self._run_apart = run_apart
        self._info = select(*(self._table.c[field.name] for field in fields(SessionInfo)))

    def get(self, session_id: UUID) -> SessionInfo | None:
        statement = self._info.where(self._table.c.id == session_id, *self._is_live)
        row = self._run(lambda c: c.execute(statement).one_or_none())
        return SessionInfo(*row) if row is not None else None

    def of_user(self, user_id: Any) -> Sequence[SessionInfo]:
        t = self._table.c
        statement = self._info.where(t.user_id == user_id, *self._is_live)
        rows = self._run(lambda c: c.execute(statement.order_by(t.last_seen_at.desc())).all())
        return [SessionInfo(*row) for row in rows]

    def count(self) -> SessionCounts:
        t = self._table.c
        is_live = t.expires_at > func.now()
        statement = select(
            func.count().filter(is_live),
            func.count().filter(is_live, t.user_id.is_not(None)),
            func.count().filter(~is_live),
        ).select_from(self._table)
        return SessionCounts(*self._run(lambda c: c.execute(statement).one()))

    def revoke(self, session_id: UUID) -> bool:
        statement = delete(self._table).where(self._table.c.id == session_id)
        return self._run(lambda c: c.execute(statement)).rowcount == 1

    def revoke_of_user(self, user_id: Any, *, keep: UUID | None = None) -> int:
        t = self._table.c
        statement = delete(self._table).where(t.user_id == user_id)
        if keep is not None:
            statement = statement.where(t.id != keep)
        return self._run(lambda c: c.execute(statement)).rowcount

    def purge(self, batch_size: int, *, exclusive: bool) -> int:
        t = self._table.c
        expired = select(t.id).where(t.expires_at <= func.now())
        if exclusive:
            # Held by this statement's transaction alone, which a connection pooler in between
            # cannot tear apart. The inner SELECT is evaluated once, not for each row.
            lock = func.pg_try_advisory_xact_lock(_PURGE_LOCK)
            expired = expired.where(select(lock).scalar_subquery())
        batch = expired.order_by(t.expires_at).limit(batch_size).with_for_update(skip_locked=True)
        statement = delete(self._table).where(t.id == func.any(func.array(batch.scalar_subquery())))
        return self._run_apart(lambda c: c.execute(statement)).rowcount


def _holds_nothing(connection: Connection) -> bool:
    """Whether nothing has been sent in this transaction yet, so that it can hold no lock."""
    driver_connection: Any = connection.connection.dbapi_connection
    return bool(driver_connection.info.transaction_status == TRANSACTION_STATUS_IDLE)


def _jsonb(text: str | None) -> ColumnElement[Any]:
    return cast(literal(text, Text), JSONB)


def _json_object(members: Mapping[str, str]) -> str:
    """The JSON text of an object whose values are JSON texts already."""
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in members.items()) + "}"
