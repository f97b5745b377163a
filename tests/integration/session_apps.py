"""Applications that keep sessions: the whole of authapp, and one that includes the store alone."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import UUID

import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.interfaces import IRequest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    insert,
    make_url,
    text,
)
from sqlalchemy.orm import registry, sessionmaker

from authapp.repositories import ENGINE
from authapp.repositories.schema import UserRow
from authapp.repositories.sessions_table import sessions_table
from tests.conftest import make_app

SECRET = "of the application that has sessions alone"


class FullApps:
    """The real application, with two users, once for each set of settings."""

    users_table: Any = UserRow.__table__

    def __init__(self, url: str, engine: Engine, **settings: str) -> None:
        """`engine` is the tests' own, for looking at the tables past the application."""
        self.engine = engine
        self._url = url
        self._settings = settings
        self._made: dict[tuple[Any, ...], Any] = {}

    def make(self, include: str, settings: Mapping[str, str]) -> Any:
        key = (include, *sorted(settings.items()))
        if key not in self._made:
            self._made[key] = make_app(
                self._url, pyramid__includes=include, **self._settings, **settings
            )
        return self._made[key]

    def engine_of(self, include: str) -> Engine:
        engine: Engine = self.make(include, {}).registry[ENGINE]
        return engine

    def add_users(self) -> list[UUID]:
        names = ("Ada", "Bea")
        rows = [{"name": n, "email": f"{n}@example.com", "password_hash": "none"} for n in names]
        with self.engine.begin() as connection:
            return [
                connection.execute(insert(UserRow).values(row).returning(UserRow.id)).scalar_one()
                for row in rows
            ]

    def dispose(self) -> None:
        for app in self._made.values():
            app.registry[ENGINE].dispose()


class AloneApps:
    """An application with a schema, a `request.dbsession` and integer-keyed users of its own.

    Its database session is made as the Pyramid cookiecutter makes it, which does not close it.
    """

    metadata = MetaData()
    users_table = Table(
        "people", metadata, Column("number", Integer, primary_key=True), Column("name", Text)
    )
    sessions = sessions_table(
        metadata,
        Column("user_id", Integer, ForeignKey("people.number", ondelete="CASCADE"), index=True),
    )

    def __init__(self, url: str, schema: str = "alone", **engine_options: Any) -> None:
        self.schema = schema
        self.engine = create_engine(
            make_url(url),
            connect_args={"options": f"-c search_path={schema}"},
            **engine_options,
        )
        with self.engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
            self.metadata.create_all(connection)
        self._new_dbsession = sessionmaker(self.engine)
        self._made: dict[tuple[Any, ...], Any] = {}

    def make(self, include: Any, settings: Mapping[str, str]) -> Any:
        key = (include, *sorted(settings.items()))
        if key not in self._made:
            self._made[key] = self._make(include, settings)
        return self._made[key]

    def _make(self, include: Any, settings: Mapping[str, str]) -> Any:
        own = {"session.secret": SECRET, "tm.manager_hook": "pyramid_tm.explicit_manager"}
        with Configurator(settings={**own, **settings}) as config:
            config.include("pyramid_tm")
            config.include("pyramid_retry")
            config.add_request_method(self._dbsession, "dbsession", reify=True)
            config.include("authapp.sessions")
            config.include(include)
        return config.make_wsgi_app()

    def _dbsession(self, request: IRequest) -> Any:
        dbsession = self._new_dbsession()
        zope.sqlalchemy.register(dbsession, transaction_manager=request.tm)
        return dbsession

    def engine_of(self, include: str) -> Engine:
        return self.engine

    def add_users(self) -> list[int]:
        with self.engine.begin() as connection:
            connection.execute(
                insert(self.users_table), [{"number": 7, "name": "A"}, {"number": 8, "name": "B"}]
            )
        return [7, 8]

    def empty(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text("TRUNCATE people, sessions CASCADE"))

    def dispose(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {self.schema} CASCADE"))
        self.engine.dispose()


class Person:
    """A user of `AloneApps`, as an object of SQLAlchemy's."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name


registry(metadata=AloneApps.metadata).map_imperatively(Person, AloneApps.users_table)


class StoredUsers:
    """The users of an application, as the suite asks for them."""

    def __init__(self, ids: list[Any]) -> None:
        self.ids = ids

    def sign_in(self, request: IRequest, number: int) -> None:
        request.session.sign_in(self.ids[number])

    def current(self, request: IRequest) -> int | None:
        user_id = request.session.user_id
        return None if user_id is None else self.ids.index(user_id)


def statement_counter(engine: Engine) -> Callable[[], AbstractContextManager[list[str]]]:
    """What counts the statements that an application sends over `engine`."""

    @contextmanager
    def count_statements() -> Iterator[list[str]]:
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
            # psycopg2 sends BEGIN by itself, before the first statement that is not autocommitted.
            if not _connection.connection.dbapi_connection.autocommit and not in_transaction:
                statements.append("BEGIN")
                in_transaction.append(True)
            statements.append(statement)

        def note_end(kind: str) -> Callable[[Any], None]:
            def note(_connection: Any) -> None:
                if in_transaction:
                    statements.append(kind)
                    in_transaction.clear()

            return note

        in_transaction: list[bool] = []
        listeners: list[tuple[str, Callable[..., None]]] = [
            ("before_cursor_execute", note),
            ("commit", note_end("COMMIT")),
            ("rollback", note_end("ROLLBACK")),
        ]
        for name, listener in listeners:
            event.listen(engine, name, listener)
        try:
            yield statements
        finally:
            for name, listener in listeners:
                event.remove(engine, name, listener)

    return count_statements
