"""What every directory of sessions does, the fake and the real one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from authapp.domain.sessions import SessionCounts, SessionDirectory
from authapp.repositories.schema import SessionRow
from authapp.repositories.sessions import SessionQueries, SqlSessionDirectory
from authapp.settings import load_session_settings
from tests.contracts.transactions import transaction
from tests.fakes_sessions import InMemorySessionDirectory

SETTINGS = load_session_settings({"session.secret": "not secret: the tests know it anyway"})
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


class InMemorySessions:
    def __init__(self) -> None:
        self._directory = InMemorySessionDirectory(SETTINGS)

    @contextmanager
    def request(self) -> Iterator[SessionDirectory]:
        yield self._directory

    def new_user(self) -> Any:
        return uuid4()

    def add(self, user_id: Any, *, unused_for: timedelta, ends_in: timedelta) -> UUID:
        session_id = uuid4()
        self._directory.add(session_id, user_id, unused_for=unused_for, ends_in=ends_in)
        return session_id

    def ids(self) -> set[UUID]:
        return set(self._directory.rows)


class SqlSessions:
    def __init__(self, engine: Engine, connection: Connection) -> None:
        self._engine = engine
        self._connection = connection
        self._queries = SessionQueries(SessionRow.__table__, SETTINGS, owner=None)

    @contextmanager
    def request(self) -> Iterator[SessionDirectory]:
        """A directory within a transaction of its own, which is committed after the block."""
        with transaction(self._engine) as connections:
            yield SqlSessionDirectory(self._queries, connections)

    def new_user(self) -> Any:
        return self._connection.scalar(
            text(
                "INSERT INTO users (name, email, password_hash) "
                "VALUES ('Ada', gen_random_uuid() || '@example.com', 'none') RETURNING id"
            )
        )

    def add(self, user_id: Any, *, unused_for: timedelta, ends_in: timedelta) -> UUID:
        added: UUID = self._connection.scalars(
            text(
                "INSERT INTO sessions (token_hash, user_id, created_at, last_seen_at, expires_at) "
                "VALUES (sha256(gen_random_uuid()::text::bytea), :user_id, now() - :unused_for, "
                "now() - :unused_for, now() + :ends_in) RETURNING id"
            ),
            {"user_id": user_id, "unused_for": unused_for, "ends_in": ends_in},
        ).one()
        return added

    def ids(self) -> set[UUID]:
        return set(self._connection.scalars(text("SELECT id FROM sessions")))


class World:
    """The sessions there are, whichever way they are kept; each call is a request of its own."""

    def __init__(self, kept: InMemorySessions | SqlSessions) -> None:
        self.kept = kept
        self.ada, self.bea = kept.new_user(), kept.new_user()

    def add(
        self, user_id: Any, *, unused_for: timedelta = timedelta(0), ends_in: timedelta = DAY
    ) -> UUID:
        return self.kept.add(user_id, unused_for=unused_for, ends_in=ends_in)

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        with self.kept.request() as directory:
            return getattr(directory, method)(*arguments, **options)

    def ids(self) -> set[UUID]:
        return self.kept.ids()


@pytest.fixture(params=["fake", "sql"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "fake":
        return World(InMemorySessions())
    engine, db = (request.getfixturevalue(name) for name in ("engine", "db"))
    return World(SqlSessions(engine, db))


def test_live_sessions_of_a_user_are_listed_last_used_first(world):
    older = world.add(world.ada, unused_for=2 * MINUTE)
    newer = world.add(world.ada, unused_for=MINUTE)
    world.add(world.ada, ends_in=-MINUTE)
    world.add(world.ada, unused_for=SETTINGS.idle_timeout)
    world.add(world.bea)
    world.add(None)

    found = world.call("of_user", world.ada)

    assert [info.id for info in found] == [newer, older]
    assert {info.user_id for info in found} == {world.ada}
    assert found[0].created_at == found[0].last_seen_at < found[0].expires_at


def test_one_is_looked_up_by_its_id(world):
    live = world.add(world.ada)
    idle = world.add(world.ada, unused_for=SETTINGS.idle_timeout)
    expired = world.add(world.ada, ends_in=-MINUTE)

    assert world.call("get", live).id == live
    assert [world.call("get", i) for i in (idle, expired, uuid4())] == [None] * 3


def test_one_is_ended(world):
    one, other = world.add(world.ada), world.add(world.ada)

    assert world.call("revoke", one) is True
    assert world.call("revoke", one) is False
    assert world.ids() == {other}


def test_one_of_a_users_is_ended(world):
    one, other = world.add(world.ada), world.add(world.ada)

    assert world.call("revoke", one, of_user=world.ada) is True
    assert world.call("revoke", one, of_user=world.ada) is False
    assert world.ids() == {other}


def test_one_of_another_users_is_left_alone(world):
    foreign, visitors = world.add(world.bea), world.add(None)

    assert world.call("revoke", foreign, of_user=world.ada) is False
    assert world.call("revoke", visitors, of_user=world.ada) is False
    assert world.call("revoke", uuid4(), of_user=world.ada) is False
    assert world.ids() == {foreign, visitors}


def test_all_of_a_users_are_ended_but_for_one(world):
    kept, *_ = [world.add(world.ada) for _ in range(3)]
    foreign, visitors = world.add(world.bea), world.add(None)

    assert world.call("revoke_of_user", world.ada, keep=kept) == 2
    assert world.ids() == {kept, foreign, visitors}
    assert world.call("revoke_of_user", world.ada, keep=foreign) == 1
    assert world.call("revoke_of_user", world.bea) == 1
    assert world.ids() == {visitors}


def test_sessions_are_counted(world):
    world.add(world.ada)
    world.add(None)
    world.add(world.ada, ends_in=-MINUTE)

    assert world.call("count") == SessionCounts(live=2, signed_in=1, expired=1)


def test_expired_ones_are_purged_the_oldest_first(world):
    live = world.add(world.ada)
    newest, *_ = [world.add(None, ends_in=-minutes * MINUTE) for minutes in (1, 2, 3)]

    assert world.call("purge", 2) == 2
    assert world.ids() == {live, newest}
    assert world.call("purge", 2, exclusive=True) == 1
    assert world.call("purge", 2) == 0
