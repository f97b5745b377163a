"""What every session store does, the fake and the real one."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import OperationalError

from authapp.domain.sessions import (
    Client,
    DataChange,
    NewSession,
    Outcome,
    OwnerGone,
    Rotation,
    SessionRecord,
    SessionStore,
)
from authapp.repositories.connections import BoundConnections
from authapp.repositories.schema import SessionRow, UserRow
from authapp.repositories.sessions import (
    Owner,
    SessionQueries,
    SqlSessionStore,
)
from authapp.repositories.users import USER_COLUMNS, SqlUserRepository, to_user
from authapp.sessions import codec
from authapp.settings import SessionSettings, load_session_settings
from tests.contracts.transactions import transaction
from tests.contracts.waiting import wait_until_blocked
from tests.fakes import InMemorySessionStore, InMemoryUserRepository, StoredSession

RAW = {
    "session.secret": "not secret: the tests know it anyway",
    "session.touch_interval": "5m",
    "session.idle_timeout": "14d",
    "session.lifetime": "30d",
}
SETTINGS = load_session_settings(RAW)
ROLLING = load_session_settings(RAW | {"session.rolling": "true"})
HOME = Client("192.0.2.1", "Browser/1.0")
ROAD = Client("2001:db8::1", "Browser/2.0")
TOKEN, NEW_TOKEN, OTHER_TOKEN = b"1" * 32, b"2" * 32, b"3" * 32
SECOND = timedelta(seconds=1)


class InMemorySessions:
    def __init__(self, session_settings: SessionSettings) -> None:
        self._users = InMemoryUserRepository()
        self._store = InMemorySessionStore(session_settings, owner_of=self._users.by_id)

    @contextmanager
    def request(self) -> Iterator[SessionStore]:
        yield self._store

    def new_user(self) -> Any:
        return self._users.add("Ada", f"{uuid4()}@example.com", "a hash")

    def delete_user(self, user_id: Any) -> None:
        self._users.delete(user_id)

    def let_pass(self, duration: timedelta) -> None:
        self._store.let_pass(duration)

    def row(self, session_id: UUID) -> StoredSession | None:
        return self._store.rows.get(session_id)


class SqlSessions:
    def __init__(
        self, session_settings: SessionSettings, engine: Engine, connection: Connection
    ) -> None:
        self._engine = engine
        self._connection = connection
        users = Owner(UserRow.__table__, UserRow.id, USER_COLUMNS, to_user)
        self._queries = SessionQueries(SessionRow.__table__, session_settings, users)

    @contextmanager
    def request(self, *, commit: bool = True) -> Iterator[SessionStore]:
        """A store within a transaction of its own, which ends with the block."""
        with transaction(self._engine, commit=commit) as connections:
            yield SqlSessionStore(self._queries, connections)

    def new_user(self) -> Any:
        with self._engine.begin() as connection:
            users = SqlUserRepository(BoundConnections(connection))
            return users.add("Ada", f"{uuid4()}@example.com", "a hash")

    def delete_user(self, user_id: Any) -> None:
        self._connection.execute(text("DELETE FROM users WHERE id = :id"), {"id": user_id})

    def let_pass(self, duration: timedelta) -> None:
        """The database's clock is what counts, so everything becomes older instead."""
        self._connection.execute(
            text(
                "UPDATE sessions SET created_at = created_at - :d,"
                " last_seen_at = last_seen_at - :d, expires_at = expires_at - :d"
            ),
            {"d": duration},
        )

    def row(self, session_id: UUID) -> StoredSession | None:
        table = SessionRow.__table__
        row = self._connection.execute(select(table).where(table.c.id == session_id)).one_or_none()
        if row is None:
            return None
        return StoredSession(
            id=row.id,
            token_hash=row.token_hash,
            user_id=row.user_id,
            data={key: json.dumps(value) for key, value in row.data.items()},
            persistent=row.persistent,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            expires_at=row.expires_at,
            client=Client(row.address, row.user_agent),
        )


@dataclass
class World:
    """The sessions there are, whichever way they are kept; each call is a request of its own."""

    kept: InMemorySessions | SqlSessions

    def start(
        self,
        data: dict[str, Any] | None = None,
        *,
        token: bytes = TOKEN,
        user_id: Any = None,
        persistent: bool = True,
    ) -> UUID:
        texts = {key: json.dumps(value) for key, value in (data or {}).items()}
        session_id = uuid4()
        with self.kept.request() as store:
            store.insert(NewSession(session_id, token, user_id, persistent, texts, HOME))
        return session_id

    def load(self, token: bytes = TOKEN) -> SessionRecord | None:
        with self.kept.request() as store:
            return store.load([token], lock=False)

    def loaded(self, token: bytes = TOKEN) -> SessionRecord:
        record = self.load(token)
        assert record is not None
        return record

    def data(self, token: bytes = TOKEN) -> Any:
        return json.loads(self.loaded(token).data)

    def touch(self, record: SessionRecord) -> None:
        with self.kept.request() as store:
            store.touch(record)

    def update(
        self,
        record: SessionRecord,
        before: dict[str, str | None] | None = None,
        after: dict[str, str | None] | None = None,
        rotation: Rotation | None = None,
    ) -> Outcome:
        with self.kept.request() as store:
            return store.update(record, DataChange(before or {}, after or {}), rotation)

    def delete(self, record: SessionRecord) -> Outcome:
        with self.kept.request() as store:
            return store.delete(record)

    def row(self, session_id: UUID) -> StoredSession:
        row = self.kept.row(session_id)
        assert row is not None
        return row


def a_world(request: pytest.FixtureRequest, session_settings: SessionSettings) -> World:
    if request.param == "in memory":
        return World(InMemorySessions(session_settings))
    engine, db = request.getfixturevalue("engine"), request.getfixturevalue("db")
    return World(SqlSessions(session_settings, engine, db))


@pytest.fixture(params=["in memory", "sql"])
def world(request):
    return a_world(request, SETTINGS)


@pytest.fixture(params=["in memory", "sql"])
def rolling_world(request):
    return a_world(request, ROLLING)


@pytest.fixture
def sql_sessions(engine, db):
    return SqlSessions(SETTINGS, engine, db)


@pytest.fixture
def sql(sql_sessions):
    return World(sql_sessions)


def rotation(token: bytes = NEW_TOKEN, user_id: Any = None, persistent: bool = True) -> Rotation:
    return Rotation(token, user_id, persistent, ROAD)


class TestLoading:
    def test_a_session_is_found_by_its_token(self, world: World):
        user = world.kept.new_user()
        session_id = world.start({"n": 1, "s": "é"}, user_id=user.id)
        world.start({"other": True}, token=OTHER_TOKEN)

        record = world.loaded()

        assert record.id == session_id
        assert record.token_hash == TOKEN
        assert record.user_id == user.id
        assert json.loads(record.data) == {"n": 1, "s": "é"}
        assert record.persistent
        assert record.expires_at - record.created_at == SETTINGS.lifetime
        assert abs(datetime.now(UTC) - record.created_at) < timedelta(minutes=1)

    @pytest.mark.parametrize("token", [b"", NEW_TOKEN, TOKEN[:-1], TOKEN + b"1", b"\0" * 32])
    def test_nothing_is_found_by_another_token(self, world: World, token: bytes):
        world.start({"n": 1})

        assert world.load(token) is None

    def test_the_owner_comes_along(self, world: World):
        user = world.kept.new_user()
        world.start(user_id=user.id)

        assert world.loaded().owner == user

    def test_a_session_of_nobody_has_no_owner(self, world: World):
        world.kept.new_user()
        world.start()

        record = world.loaded()

        assert record.user_id is None
        assert record.owner is None

    @pytest.mark.parametrize("persistent", [True, False])
    def test_persistence_is_kept(self, world: World, persistent: bool):
        world.start(persistent=persistent)

        assert world.loaded().persistent is persistent

    def test_where_it_was_started_from_is_kept(self, world: World):
        assert world.row(world.start()).client == HOME

    def test_loading_with_a_lock_gives_the_same(self, world: World):
        world.start({"n": 1}, user_id=world.kept.new_user().id)

        with world.kept.request() as store:
            locked = store.load([TOKEN], lock=True)

        assert locked == world.load()

    def test_loading_with_a_lock_finds_nothing_by_another_token(self, world: World):
        world.start()

        with world.kept.request() as store:
            assert store.load([OTHER_TOKEN], lock=True) is None

    def test_loading_changes_nothing(self, world: World):
        session_id = world.start({"n": 1})
        world.kept.let_pass(timedelta(hours=1))
        before = world.row(session_id)

        world.load()

        assert world.row(session_id) == before

    def test_two_sessions_cannot_have_the_same_token(self, world: World):
        first = world.start({"n": 1})

        with world.kept.request() as store:
            assert store.insert(NewSession(uuid4(), TOKEN, None, True, {"n": "2"}, ROAD)) is False

        assert world.loaded().id == first
        assert world.data() == {"n": 1}

    def test_storing_a_session_says_so(self, world: World):
        with world.kept.request() as store:
            assert store.insert(NewSession(uuid4(), TOKEN, None, True, {}, HOME)) is True

    @pytest.mark.parametrize(
        "value",
        [None, [], {}, "", [None], {"a": {"b": [1, {"c": None}]}}, [[[]], {"": 0}], 1.5, False],
    )
    def test_nested_values_are_kept(self, world: World, value: Any):
        world.start({"key": value})

        assert world.data() == {"key": value}

    def test_keys_are_kept_to_the_character(self, world: World):
        data = {"": 1, "a b": 2, "é🙂": 3, 'say "no"': 4, "back\\slash": 5, "%s :x {0}": 6}

        world.start(data)

        assert world.data() == data


class TestSeveralTokens:
    def test_the_live_one_is_found_among_dead_ones(self, world: World):
        session_id = world.start()

        with world.kept.request() as store:
            record = store.load([OTHER_TOKEN, TOKEN, NEW_TOKEN], lock=False)

        assert record is not None
        assert (record.id, record.token_hash) == (session_id, TOKEN)

    @pytest.mark.parametrize("lock", [False, True])
    def test_of_several_live_ones_the_one_that_was_begun_last_counts(
        self, world: World, lock: bool
    ):
        world.start()
        world.kept.let_pass(timedelta(minutes=1))
        newer = world.start(token=OTHER_TOKEN)

        with world.kept.request() as store:
            record = store.load([TOKEN, OTHER_TOKEN], lock=lock)

        assert record is not None
        assert record.id == newer


class TestDeadlines:
    def test_a_session_in_use_lives_until_its_lifetime_is_over(self, world: World):
        world.start()
        for _ in range(5):
            world.kept.let_pass(timedelta(days=5))
            world.touch(world.loaded())

        world.kept.let_pass(timedelta(days=5) - SECOND)
        world.touch(world.loaded())
        world.kept.let_pass(SECOND)

        assert world.load() is None

    def test_a_session_out_of_use_ends_with_the_idle_timeout(self, world: World):
        world.start()

        world.kept.let_pass(SETTINGS.idle_timeout - SECOND)
        assert world.load() is not None
        world.kept.let_pass(SECOND)
        assert world.load() is None

    def test_a_lock_does_not_reach_a_session_that_has_ended(self, world: World):
        world.start()
        world.kept.let_pass(SETTINGS.lifetime)

        with world.kept.request() as store:
            assert store.load([TOKEN], lock=True) is None

    def test_use_is_due_to_be_written_down_once_an_interval(self, world: World):
        world.start()

        assert not world.loaded().touch_due
        world.kept.let_pass(SETTINGS.touch_interval - SECOND)
        assert not world.loaded().touch_due
        world.kept.let_pass(SECOND)
        assert world.loaded().touch_due
        world.touch(world.loaded())
        assert not world.loaded().touch_due

    def test_touching_writes_down_the_use_and_nothing_else(self, world: World):
        user = world.kept.new_user()
        session_id = world.start({"n": 1}, user_id=user.id)
        world.kept.let_pass(timedelta(hours=1))
        before = world.row(session_id)

        world.touch(world.loaded())

        after = world.row(session_id)
        assert after.last_seen_at > before.last_seen_at
        assert after == StoredSession(**vars(before) | {"last_seen_at": after.last_seen_at})

    def test_of_many_requests_at_once_only_the_first_writes_down_its_use(self, world: World):
        session_id = world.start()
        world.kept.let_pass(timedelta(hours=1))
        first, second = world.loaded(), world.loaded()
        world.touch(first)
        written = world.row(session_id).last_seen_at
        world.kept.let_pass(SETTINGS.touch_interval - SECOND)
        aged = world.row(session_id).last_seen_at

        world.touch(second)

        assert world.row(session_id).last_seen_at == aged
        assert aged <= written

    def test_touching_one_session_leaves_the_others_alone(self, world: World):
        world.start()
        other = world.start(token=OTHER_TOKEN)
        world.kept.let_pass(timedelta(hours=1))
        before = world.row(other)

        world.touch(world.loaded())

        assert world.row(other) == before

    def test_touching_does_not_bring_a_session_back(self, world: World):
        world.start()
        world.kept.let_pass(timedelta(hours=1))
        record = world.loaded()
        world.delete(record)

        world.touch(record)

        assert world.load() is None
        assert world.kept.row(record.id) is None


class TestRolling:
    """With `session.rolling` each use, as far as it is written down, prolongs the session."""

    def test_a_session_in_use_has_no_end(self, rolling_world: World):
        rolling_world.start()
        for _ in range(10):
            rolling_world.kept.let_pass(timedelta(days=10))
            rolling_world.touch(rolling_world.loaded())

        assert rolling_world.load() is not None

    def test_a_touch_moves_the_deadline(self, rolling_world: World):
        session_id = rolling_world.start()
        rolling_world.kept.let_pass(timedelta(days=10))

        rolling_world.touch(rolling_world.loaded())

        row = rolling_world.row(session_id)
        assert row.expires_at - row.last_seen_at == ROLLING.lifetime
        assert row.last_seen_at - row.created_at >= timedelta(days=10)

    def test_a_session_out_of_use_ends(self, rolling_world: World):
        rolling_world.start()
        rolling_world.kept.let_pass(ROLLING.idle_timeout)

        assert rolling_world.load() is None


class TestChanging:
    @pytest.mark.parametrize("value", ["2", '"two"', "null", "[1,2]", '{"a":{"b":[null]}}', "1.5"])
    def test_a_value_is_written(self, world: World, value: str):
        world.start({"n": 1, "stays": [1]})

        assert world.update(world.loaded(), {"n": "1"}, {"n": value}) is Outcome.WRITTEN

        assert world.data() == {"n": json.loads(value), "stays": [1]}

    @pytest.mark.parametrize(
        "key", ["", "new", "é🙂", 'say "no"', "back\\slash", "a,b{c}", "%s :x"]
    )
    def test_keys_come_and_go(self, world: World, key: str):
        world.start({"stays": 1})

        assert world.update(world.loaded(), {key: None}, {key: '"here"'}) is Outcome.WRITTEN
        assert world.data() == {"stays": 1, key: "here"}
        assert world.update(world.loaded(), {key: '"here"'}, {key: None}) is Outcome.WRITTEN
        assert world.data() == {"stays": 1}

    def test_several_keys_change_together(self, world: World):
        world.start({"changes": 1, "goes": 2, "goes too": None, "stays": 4})

        outcome = world.update(
            world.loaded(),
            {"changes": "1", "goes": "2", "goes too": "null", "comes": None},
            {"changes": "[1]", "goes": None, "goes too": None, "comes": "null"},
        )

        assert outcome is Outcome.WRITTEN
        assert world.data() == {"changes": [1], "comes": None, "stays": 4}

    def test_parallel_changes_of_different_keys_merge(self, world: World):
        world.start({"a": 1, "b": 1, "c": 1})
        one, other = world.loaded(), world.loaded()

        assert world.update(one, {"a": "1", "c": "1"}, {"a": "2", "c": None}) is Outcome.WRITTEN
        assert world.update(other, {"b": "1", "d": None}, {"b": "2", "d": "2"}) is Outcome.WRITTEN

        assert world.data() == {"a": 2, "b": 2, "d": 2}

    def test_parallel_changes_of_the_same_key_are_a_conflict(self, world: World):
        world.start({"n": 1, "m": 1})
        one, other = world.loaded(), world.loaded()

        assert world.update(one, {"n": "1"}, {"n": "2"}) is Outcome.WRITTEN
        outcome = world.update(other, {"n": "1", "m": "1"}, {"n": "3", "m": "3"})

        assert outcome is Outcome.CONFLICT
        assert world.data() == {"n": 2, "m": 1}

    # Whatever is wrongly taken for the same would be overwritten unseen.
    @pytest.mark.parametrize(
        ("stored", "expected"),
        [
            ([1, 2], "[1]"),
            ([1], "[1,2]"),
            ([1, 2], "[2,1]"),
            ([1], "1"),
            ({"a": 1, "b": 2}, '{"a":1}'),
            ({"a": 1}, '{"a":1,"b":2}'),
            ({"a": [1, 2]}, '{"a":[1]}'),
            ({}, "[]"),
            ({}, "null"),
            ([], "[[]]"),
            (None, None),
            (None, "0"),
            (None, '""'),
            (0, "null"),
            (0, "false"),
            (0, None),
            (False, None),
            ("", None),
            ("", "null"),
            (1, "true"),
            (1, '"1"'),
            (1, "1.0000000000000002"),
            ("a", '"A"'),
            ("a", '"a "'),
            ("é", '"e\\u0301"'),
            (10**20, str(10**20 + 1)),
        ],
    )
    def test_another_value_than_was_read_is_a_conflict(
        self, world: World, stored: Any, expected: str | None
    ):
        world.start({"key": stored})

        assert world.update(world.loaded(), {"key": expected}, {"key": "2"}) is Outcome.CONFLICT

        assert world.data() == {"key": stored}

    @pytest.mark.parametrize("expected", ["null", "0", "false", '""', "[]", "{}"])
    def test_a_key_that_has_gone_is_a_conflict(self, world: World, expected: str):
        world.start({"other": 1})

        assert world.update(world.loaded(), {"key": expected}, {"key": "2"}) is Outcome.CONFLICT

        assert world.data() == {"other": 1}

    @pytest.mark.parametrize(
        ("stored", "expected"),
        [
            ({"a": 1, "b": 2}, '{"b":2,"a":1}'),
            (1, "1.0"),
            (100.0, "1e2"),
            ("é🙂", '"\\u00e9\\ud83d\\ude42"'),
            ([1, [2]], "[ 1, [2 ] ]"),
        ],
    )
    def test_another_spelling_of_the_same_value_is_none(
        self, world: World, stored: Any, expected: str
    ):
        world.start({"key": stored})

        assert world.update(world.loaded(), {"key": expected}, {"key": "2"}) is Outcome.WRITTEN

    def test_only_the_session_itself_is_changed(self, world: World):
        world.start({"n": 1})
        other = world.start({"n": 1}, token=OTHER_TOKEN)
        before = world.row(other)

        world.update(world.loaded(), {"n": "1"}, {"n": "2"}, rotation())

        assert world.row(other) == before

    def test_a_change_of_data_leaves_everything_else_as_it_was(self, world: World):
        user = world.kept.new_user()
        session_id = world.start({"n": 1}, user_id=user.id, persistent=False)
        world.kept.let_pass(timedelta(days=1))
        before = world.row(session_id)

        world.update(world.loaded(), {"n": "1"}, {"n": "2"})

        assert world.row(session_id) == StoredSession(**vars(before) | {"data": {"n": "2"}})


class TestRotating:
    def test_a_session_moves_to_its_new_token(self, world: World):
        session_id = world.start({"n": 1})

        assert world.update(world.loaded(), rotation=rotation()) is Outcome.WRITTEN

        assert world.load() is None
        assert world.loaded(NEW_TOKEN).id == session_id
        assert world.data(NEW_TOKEN) == {"n": 1}

    def test_it_becomes_the_users(self, world: World):
        user = world.kept.new_user()
        world.start()

        world.update(world.loaded(), rotation=rotation(user_id=user.id, persistent=False))

        record = world.loaded(NEW_TOKEN)
        assert record.user_id == user.id
        assert record.owner == user
        assert not record.persistent

    def test_its_age_begins_anew_when_somebody_signs_in(self, world: World):
        """What people are shown is since when they are signed in."""
        user = world.kept.new_user()
        session_id = world.start()
        world.kept.let_pass(timedelta(days=10))

        world.update(world.loaded(), rotation=rotation(user_id=user.id))

        signed_in = world.row(session_id)
        assert signed_in.created_at == signed_in.last_seen_at
        world.kept.let_pass(timedelta(days=1))
        before = world.row(session_id)
        again = replace(rotation(user_id=user.id), token_hash=TOKEN)
        world.update(world.loaded(NEW_TOKEN), rotation=again)
        assert world.row(session_id).created_at == before.created_at

    def test_its_lifetime_begins_anew_and_its_age_does_not(self, world: World):
        session_id = world.start()
        world.kept.let_pass(timedelta(days=10))
        before = world.row(session_id)

        world.update(world.loaded(), rotation=rotation())

        after = world.row(session_id)
        assert after.created_at == before.created_at
        assert after.expires_at - after.last_seen_at == SETTINGS.lifetime
        assert after.expires_at - before.expires_at >= timedelta(days=10)

    def test_it_is_written_down_where_that_happened(self, world: World):
        session_id = world.start()

        world.update(world.loaded(), rotation=rotation())

        assert world.row(session_id).client == ROAD

    def test_data_change_along_with_the_token(self, world: World):
        world.start({"n": 1})

        world.update(world.loaded(), {"n": "1"}, {"n": "2"}, rotation())

        assert world.data(NEW_TOKEN) == {"n": 2}

    def test_a_conflict_keeps_the_token(self, world: World):
        world.start({"n": 1})

        outcome = world.update(world.loaded(), {"n": "0"}, {"n": "2"}, rotation())

        assert outcome is Outcome.CONFLICT
        assert world.data() == {"n": 1}
        assert world.load(NEW_TOKEN) is None

    def test_what_a_request_with_the_old_token_changes_is_kept(self, world: World):
        world.start({"n": 1})
        record = world.loaded()
        world.update(record, rotation=rotation())

        assert world.update(record, {"n": "1"}, {"n": "2"}) is Outcome.WRITTEN

        assert world.data(NEW_TOKEN) == {"n": 2}

    def test_another_rotation_of_the_old_token_comes_too_late(self, world: World):
        world.start({"n": 1})
        record = world.loaded()
        world.update(record, rotation=rotation())

        late = rotation(OTHER_TOKEN)
        assert world.update(record, {"n": "1"}, {"n": "2"}, late) is Outcome.SUPERSEDED

        assert world.data(NEW_TOKEN) == {"n": 1}
        assert world.load(OTHER_TOKEN) is None

    def test_what_a_visitor_changes_is_not_kept_in_the_session_of_a_user(self, world: World):
        world.start({"n": 1})
        record = world.loaded()
        world.update(record, rotation=rotation(user_id=world.kept.new_user().id))

        assert world.update(record, {"n": "1"}, {"n": "2"}) is Outcome.SUPERSEDED

        assert world.data(NEW_TOKEN) == {"n": 1}

    def test_nor_is_that_a_conflict_where_the_data_differ_as_well(self, world: World):
        world.start({"n": 1})
        record = world.loaded()
        world.update(record, {"n": "1"}, {"n": "2"}, rotation())

        assert world.update(record, {"n": "1"}, {"n": "3"}) is Outcome.SUPERSEDED


class TestEnding:
    def test_a_session_ends(self, world: World):
        world.start()
        record = world.loaded()

        assert world.delete(record) is Outcome.WRITTEN

        assert world.load() is None
        assert world.kept.row(record.id) is None

    def test_the_others_live_on(self, world: World):
        world.start()
        world.start(token=OTHER_TOKEN)

        world.delete(world.loaded())

        assert world.load(OTHER_TOKEN) is not None

    def test_ending_it_again_is_no_error(self, world: World):
        world.start()
        record = world.loaded()

        world.delete(record)
        world.delete(record)

        assert world.load() is None

    def test_it_ends_under_its_new_token_too(self, world: World):
        world.start()
        record = world.loaded()
        world.update(record, rotation=rotation())

        world.delete(record)

        assert world.load(NEW_TOKEN) is None

    @pytest.mark.parametrize("late", [None, rotation()])
    def test_a_late_change_does_not_bring_it_back(self, world: World, late: Rotation | None):
        world.start({"n": 1})
        record = world.loaded()
        world.delete(record)

        assert world.update(record, {"n": "1"}, {"n": "2"}, late) is Outcome.ENDED

        assert world.kept.row(record.id) is None
        assert world.load() is None
        assert world.load(NEW_TOKEN) is None

    @pytest.mark.parametrize("late", [None, rotation()])
    def test_a_change_does_not_prolong_what_has_expired(self, world: World, late: Rotation | None):
        world.start({"n": 1})
        record = world.loaded()
        world.kept.let_pass(SETTINGS.lifetime)

        assert world.update(record, {"n": "1"}, {"n": "2"}, late) is Outcome.ENDED

        assert world.load() is None
        assert world.load(NEW_TOKEN) is None


class TestUsersWhoAreGone:
    def test_sessions_go_with_their_user(self, world: World):
        user, other = world.kept.new_user(), world.kept.new_user()
        world.start(user_id=user.id)
        world.start(token=OTHER_TOKEN, user_id=other.id)
        record = world.loaded()

        world.kept.delete_user(user.id)

        assert world.load() is None
        assert world.kept.row(record.id) is None
        assert world.loaded(OTHER_TOKEN).owner == other
        assert world.update(record, {"n": None}, {"n": "1"}) is Outcome.ENDED

    def test_no_session_can_be_started_for_them(self, world: World):
        user = world.kept.new_user()
        world.kept.delete_user(user.id)

        with pytest.raises(OwnerGone):
            world.start(user_id=user.id)

        assert world.load() is None

    def test_nor_can_a_session_become_theirs(self, world: World):
        user = world.kept.new_user()
        world.start({"n": 1})
        world.kept.delete_user(user.id)

        with pytest.raises(OwnerGone):
            world.update(world.loaded(), rotation=rotation(user_id=user.id))

        assert world.data() == {"n": 1}
        assert world.load(NEW_TOKEN) is None


class TestApart:
    """Writes that do not wait for the request's commit."""

    def test_it_is_the_same_store(self, world: World):
        session_id = uuid4()

        with world.kept.request() as store:
            apart = store.apart()
            apart.insert(NewSession(session_id, TOKEN, None, True, {"n": "1"}, HOME))
            record = apart.load([TOKEN], lock=False)
            assert record is not None
            outcome = apart.update(record, DataChange({"n": "1"}, {"n": "2"}), rotation())

        assert outcome is Outcome.WRITTEN
        assert world.data(NEW_TOKEN) == {"n": 2}
        with world.kept.request() as store:
            store.apart().delete(record)
        assert world.load(NEW_TOKEN) is None


class TestSqlSessionStore:
    """What only a database has: transactions, locks, other tables, and garbage in its rows."""

    def test_nothing_is_written_before_the_commit(self, sql: World):
        with sql.kept.request() as store:
            store.insert(NewSession(uuid4(), TOKEN, None, True, {}, HOME))
            assert sql.load() is None
        record = sql.loaded()
        with sql.kept.request() as store:
            store.update(record, DataChange({"n": None}, {"n": "1"}), None)
            assert sql.data() == {}
        assert sql.data() == {"n": 1}
        with sql.kept.request() as store:
            store.delete(record)
            assert sql.load() is not None
        assert sql.load() is None

    def test_nothing_is_written_by_a_transaction_that_is_given_up(
        self, sql: World, sql_sessions: SqlSessions
    ):
        sql.start({"n": 1})
        record = sql.loaded()

        with sql_sessions.request(commit=False) as store:
            store.update(record, DataChange({"n": "1"}, {"n": "2"}), rotation())

        assert sql.data() == {"n": 1}

    def test_what_is_written_apart_outlives_it(self, sql: World, sql_sessions: SqlSessions):
        sql.start({"n": 1})
        record = sql.loaded()

        with sql_sessions.request(commit=False) as store:
            store.apart().update(record, DataChange({"n": "1"}, {"n": "2"}), None)
            assert sql.data() == {"n": 2}

        assert sql.data() == {"n": 2}

    def test_a_lock_is_held_until_the_transaction_ends(self, sql: World, db: Connection):
        sql.start()
        take = text("SELECT 1 FROM sessions FOR UPDATE NOWAIT")

        with sql.kept.request() as store:
            store.load([TOKEN], lock=True)
            with pytest.raises(OperationalError, match="could not obtain lock"):
                db.execute(take)

        assert db.scalar(take) == 1

    def test_a_lock_on_a_session_does_not_lock_its_user(self, sql: World, db: Connection):
        sql.start(user_id=sql.kept.new_user().id)

        with sql.kept.request() as store:
            store.load([TOKEN], lock=True)

            assert db.scalar(text("SELECT 1 FROM users FOR UPDATE NOWAIT")) == 1

    def test_rows_that_refer_to_a_locked_session_can_be_inserted(self, sql: World, db: Connection):
        sql.start()

        with sql.kept.request() as store:
            store.load([TOKEN], lock=True)

            # As a foreign key to the session takes it.
            assert db.scalar(text("SELECT 1 FROM sessions FOR KEY SHARE NOWAIT")) == 1

    def test_loading_without_a_lock_does_not_wait_for_one(self, sql: World):
        sql.start({"n": 1})

        with ThreadPoolExecutor(1) as thread, sql.kept.request() as holder:
            holder.load([TOKEN], lock=True)

            assert thread.submit(sql.data).result(timeout=10) == {"n": 1}

    def test_touching_waits_for_nobody(self, sql: World):
        session_id = sql.start()
        sql.kept.let_pass(timedelta(hours=1))
        record, before = sql.loaded(), sql.row(session_id)

        with ThreadPoolExecutor(1) as thread, sql.kept.request() as holder:
            holder.load([TOKEN], lock=True)
            thread.submit(sql.touch, record).result(timeout=10)

        assert sql.row(session_id) == before

    def test_a_change_that_comes_first_in_its_transaction_waits_and_merges(
        self, sql: World, db: Connection
    ):
        sql.start({"n": 1})
        record = sql.loaded()

        with ThreadPoolExecutor(1) as thread:
            with sql.kept.request() as other:
                other.update(record, DataChange({"a": None}, {"a": "1"}), None)
                second = thread.submit(sql.update, record, {"b": None}, {"b": "2"})
                wait_until_blocked(db)
            assert second.result(timeout=10) is Outcome.WRITTEN

        assert sql.data() == {"n": 1, "a": 1, "b": 2}

    def test_of_two_at_once_to_the_same_key_the_second_is_a_conflict(
        self, sql: World, db: Connection
    ):
        sql.start({"n": 1})
        record = sql.loaded()

        with ThreadPoolExecutor(1) as thread:
            with sql.kept.request() as other:
                other.update(record, DataChange({"n": "1"}, {"n": "2"}), None)
                second = thread.submit(sql.update, record, {"n": "1"}, {"n": "3"})
                wait_until_blocked(db)
            assert second.result(timeout=10) is Outcome.CONFLICT

        assert sql.data() == {"n": 2}

    def test_a_transaction_that_may_hold_other_locks_does_not_wait_for_this_one(
        self, sql: World, sql_sessions: SqlSessions
    ):
        """Else two requests that lock in different orders would wait for each other."""
        sql.start({"n": 1})
        record = sql.loaded()

        def change_something_else_first() -> Outcome:
            with sql_sessions.request() as store:
                store.insert(NewSession(uuid4(), OTHER_TOKEN, None, True, {}, HOME))
                return store.update(record, DataChange({"n": "1"}, {"n": "2"}), None)

        with ThreadPoolExecutor(1) as thread, sql.kept.request() as holder:
            holder.load([TOKEN], lock=True)

            second = thread.submit(change_something_else_first)
            assert second.result(timeout=10) is Outcome.CONFLICT

        assert sql.data() == {"n": 1}

    def test_the_owner_is_as_of_now(self, sql: World, db: Connection):
        sql.start(user_id=sql.kept.new_user().id)

        db.execute(text("UPDATE users SET status = 'disabled'"))

        assert not sql.loaded().owner.is_active

    @pytest.mark.parametrize("data", ["null", "[]", "[{}]", '"{}"', "1", "true"])
    def test_data_that_are_no_object_end_the_session_and_are_logged(
        self, sql: World, db: Connection, caplog: pytest.LogCaptureFixture, data: str
    ):
        session_id = sql.start()
        db.execute(text("UPDATE sessions SET data = CAST(:data AS jsonb)"), {"data": data})

        with caplog.at_level(logging.WARNING):
            assert sql.load() is None

        assert str(session_id) in caplog.text


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(-1e15, 1e15).map(lambda number: number or 0.0)  # Its zero has no sign.
    | st.text()
    | st.binary(max_size=20)
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.just(UTC))
    | st.decimals(allow_nan=False)
)
KEYS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8
)


def through_postgresql(engine: Engine, data: dict[str, Any]) -> dict[str, Any]:
    members = ",".join(f"{json.dumps(key)}:{codec.dumps(v, key)}" for key, v in data.items())
    with engine.connect() as connection:
        stored = connection.scalar(
            text("SELECT CAST(CAST(:data AS jsonb) AS text)"), {"data": "{" + members + "}"}
        )
    return {key: codec.decode(value) for key, value in json.loads(stored).items()}


@given(data=st.dictionaries(KEYS, VALUES, max_size=4))
@settings(max_examples=100, deadline=None)
def test_postgresql_keeps_whatever_a_session_can_hold(engine: Engine, data: dict[str, Any]):
    kept = through_postgresql(engine, data)

    assert kept == data
    # The texts as well, since these tell 1 from 1.0 and True, and are what changes are found by.
    assert codec.dumps(kept, "kept") == codec.dumps(data, "data")


@pytest.mark.parametrize("value", [1e16, 5.797084905050769e16, -1e22, 1.7976931348623157e308])
def test_postgresql_keeps_large_floats(engine: Engine, value: float):
    [kept] = through_postgresql(engine, {"value": value}).values()

    assert kept == value
    assert isinstance(kept, float)
