"""Sessions in PostgreSQL: one SELECT to load, one guarded UPDATE to write, never an upsert.

All deadlines are compared with the database's clock, so that the clocks of the machines that
serve requests do not matter.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from psycopg2.errors import ForeignKeyViolation
from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    FromClause,
    Select,
    Text,
    Update,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.exc import IntegrityError

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
from authapp.repositories.connections import ApartConnections, Connections
from authapp.settings import SessionSettings

log = logging.getLogger(__name__)

_PURGE_LOCK = 0x61757468  # An advisory lock's number: "auth", in ASCII.


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
        live = self._live(settings)
        self.load = (
            live.where(table.c.token_hash.in_(bindparam("token_hashes", expanding=True)))
            .order_by(table.c.expires_at.desc())
            .limit(1)
        )
        self.refresh = live.where(table.c.id == bindparam("session_id"))
        # Weaker than FOR UPDATE, so that rows that refer to the session can be inserted meanwhile.
        self.load_and_lock = self.load.with_for_update(of=table, key_share=True)
        self.touch = self._touch(settings)
        self.guards = select(table.c.token_hash, table.c.user_id).where(
            table.c.id == bindparam("session_id"), table.c.expires_at > func.now()
        )

    def _live(self, settings: SessionSettings) -> Select[Any]:
        t, owner = self.table.c, self.owner
        touch_due = t.last_seen_at <= func.now() - literal(settings.touch_interval)
        # The data come as text: most requests need only the owner, and never parse them.
        columns = [
            t.id,
            t.token_hash,
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
        return select(*columns).select_from(tables).where(*self.is_live)

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
        A change of the data survives a new token, as long as the session is the same user's; a
        new token only follows the one that the request came with.
        """
        t = self.table.c
        guards = [
            t.data.op("->")(literal(key, Text)).is_not_distinct_from(_jsonb(value))
            for key, value in change.before.items()
        ]
        if rotation is None:
            guards.append(t.user_id.is_not_distinct_from(record.user_id))
        else:
            guards.append(t.token_hash == record.token_hash)
        values: dict[str, Any] = {}
        if change.after:
            values["data"] = self._changed_data(change.after)
        if rotation is not None:
            values |= {
                "token_hash": rotation.token_hash,
                "user_id": rotation.user_id,
                "persistent": rotation.persistent,
                # For a visitor who signs in the session begins now; people ask since when.
                "created_at": case(
                    (
                        t.user_id.is_not_distinct_from(literal(rotation.user_id, t.user_id.type)),
                        t.created_at,
                    ),
                    else_=func.now(),
                ),
                "last_seen_at": func.now(),
                "expires_at": self._expires_at,
                "address": rotation.client.address,
                "user_agent": rotation.client.user_agent,
            }
        return (
            update(self.table)
            .where(
                self._is(record, wait=wait, key_share=rotation is None),
                t.expires_at > func.now(),
                *guards,
            )
            .values(values)
        )

    def delete(self, record: SessionRecord, *, wait: bool) -> Delete:
        return delete(self.table).where(self._is(record, wait=wait, key_share=False))

    def _is(self, record: SessionRecord, *, wait: bool, key_share: bool) -> ColumnElement[bool]:
        """Names the row. Without `wait`, one that another request has locked is not there.

        A request that holds locks already must not wait for the session's: one that is run again
        takes this lock first, then the others, and the two would wait for each other.
        """
        id_: ColumnElement[UUID] = self.table.c.id
        if wait:
            return id_ == record.id
        free = select(id_).where(id_ == record.id)
        free = free.with_for_update(skip_locked=True, key_share=key_share)
        return id_ == free.scalar_subquery()

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

    def __init__(self, queries: SessionQueries, connections: Connections) -> None:
        self._queries = queries
        self._connections = connections

    def apart(self) -> "SqlSessionStore":
        return SqlSessionStore(self._queries, ApartConnections(self._connections))

    def load(self, token_hashes: Sequence[bytes], *, lock: bool) -> SessionRecord | None:
        run = self._connections.inside if lock else self._connections.beside
        statement = self._queries.load_and_lock if lock else self._queries.load
        parameters = {"token_hashes": token_hashes}
        return self._to_record(run(lambda c: c.execute(statement, parameters).one_or_none()))

    def refresh(self, session_id: UUID) -> SessionRecord | None:
        of_session = {"session_id": session_id}
        return self._to_record(
            self._connections.inside(
                lambda c: c.execute(self._queries.refresh, of_session).one_or_none()
            )
        )

    def touch(self, record: SessionRecord) -> None:
        of_session = {"session_id": record.id}
        self._connections.soon(lambda c: c.execute(self._queries.touch, of_session))

    def insert(self, session: NewSession) -> bool:
        return self._write_owned(lambda wait: self._queries.insert(session)) == 1

    def update(
        self, record: SessionRecord, change: DataChange, rotation: Rotation | None
    ) -> Outcome:
        updated = self._write_owned(
            lambda wait: self._queries.update(record, change, rotation, wait=wait)
        )
        if updated:
            return Outcome.WRITTEN
        guards = self._guards(record)
        if guards is None:
            return Outcome.ENDED
        is_as_loaded = guards == (record.token_hash, record.user_id)
        return Outcome.CONFLICT if is_as_loaded else Outcome.SUPERSEDED

    def delete(self, record: SessionRecord) -> Outcome:
        if self._write(lambda wait: self._queries.delete(record, wait=wait)):
            return Outcome.WRITTEN
        return Outcome.ENDED if self._guards(record) is None else Outcome.CONFLICT

    def _guards(self, record: SessionRecord) -> tuple[Any, ...] | None:
        of_session = {"session_id": record.id}
        row = self._connections.inside(
            lambda c: c.execute(self._queries.guards, of_session).one_or_none()
        )
        return tuple(row) if row is not None else None

    def _write(self, statement: Callable[[bool], Any]) -> int:
        """Executes what `statement` makes of whether it may wait, and counts the rows."""

        def work(connection: Connection) -> int:
            # Asked here, where what the application has added to its dbsession has been sent.
            return connection.execute(statement(not self._connections.holds_locks())).rowcount

        return self._connections.inside(work)

    def _write_owned(self, statement: Callable[[bool], Any]) -> int:
        try:
            return self._write(statement)
        except IntegrityError as error:
            if self._tells_that_the_owner_is_gone(error.orig):
                raise OwnerGone from error
            raise

    def _tells_that_the_owner_is_gone(self, error: BaseException | None) -> bool:
        # Rows that the application has added, and that are sent along, may refer to nothing too.
        table_name = self._queries.table.name
        return isinstance(error, ForeignKeyViolation) and error.diag.table_name == table_name

    def _to_record(self, row: Sequence[Any] | None) -> SessionRecord | None:
        if row is None:
            return None
        session_id, token_hash, user_id, data, *rest = row
        persistent, created_at, expires_at, touch_due, *of_owner = rest
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

    def __init__(self, queries: SessionQueries, connections: Connections) -> None:
        self._table = queries.table
        self._is_live = queries.is_live
        self._run = connections.inside
        self._read = connections.beside
        self._run_apart = connections.outside
        self._info = select(*(self._table.c[field.name] for field in fields(SessionInfo)))

    def get(self, session_id: UUID) -> SessionInfo | None:
        statement = self._info.where(self._table.c.id == session_id, *self._is_live)
        row = self._read(lambda c: c.execute(statement).one_or_none())
        return SessionInfo(*row) if row is not None else None

    def of_user(self, user_id: Any) -> Sequence[SessionInfo]:
        t = self._table.c
        statement = self._info.where(t.user_id == user_id, *self._is_live)
        rows = self._read(lambda c: c.execute(statement.order_by(t.last_seen_at.desc())).all())
        return [SessionInfo(*row) for row in rows]

    def hold(self, session_id: UUID) -> bool:
        t = self._table.c
        statement = select(t.id).where(t.id == session_id, *self._is_live)
        # Weak enough for the session's own changes, which come with the commit of the same request.
        statement = statement.with_for_update(read=True, key_share=True)
        return self._run(lambda c: c.execute(statement).one_or_none()) is not None

    def count(self) -> SessionCounts:
        t = self._table.c
        is_live = t.expires_at > func.now()
        statement = select(
            func.count().filter(is_live),
            func.count().filter(is_live, t.user_id.is_not(None)),
            func.count().filter(~is_live),
        ).select_from(self._table)
        return SessionCounts(*self._read(lambda c: c.execute(statement).one()))

    def revoke(self, session_id: UUID, *, of_user: Any = None) -> bool:
        t = self._table.c
        statement = delete(self._table).where(t.id == session_id)
        if of_user is not None:
            # Not looked up before: another request may be making the session another user's.
            statement = statement.where(t.user_id == of_user)
        return self._run(lambda c: c.execute(statement)).rowcount == 1

    def revoke_of_user(self, user_id: Any, *, keep: UUID | None = None) -> int:
        t = self._table.c
        statement = delete(self._table).where(t.user_id == user_id)
        if keep is not None:
            statement = statement.where(t.id != keep)
        return self._run(lambda c: c.execute(statement)).rowcount

    def purge(self, batch_size: int, *, exclusive: bool = False) -> int:
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


def _jsonb(text: str | None) -> ColumnElement[Any]:
    return cast(literal(text, Text), JSONB)


def _json_object(members: Mapping[str, str]) -> str:
    """The JSON text of an object whose values are JSON texts already."""
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in members.items()) + "}"
