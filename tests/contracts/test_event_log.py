"""What every log of security events does, the fake and the real one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy
from sqlalchemy import Connection, Engine, text

from authapp.domain.events import (
    AccountEvent,
    EmailChanged,
    PasswordChanged,
    RoleChanged,
    SessionsRevoked,
    SignedIn,
    SignInFailed,
    Throttled,
    UserDeleted,
)
from authapp.domain.sessions import Client
from authapp.domain.users import Role, Status, User
from authapp.repositories.events import SqlEventLog
from tests.contracts.transactions import transaction
from tests.contracts.users import add_user
from tests.contracts.waiting import wait_until_blocked
from tests.fakes_accounts import InMemoryEventLog

HOME = Client("192.0.2.1", "Browser/1.0")
DAY = timedelta(days=1)


def user(user_id: UUID) -> User:
    return User(
        id=user_id,
        name="Ada",
        email="ada@example.com",
        role=Role.MEMBER,
        status=Status.ACTIVE,
        email_verified_at=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        password_changed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


class InMemoryWorld:
    def __init__(self) -> None:
        self._log = InMemoryEventLog()

    @contextmanager
    def request(self) -> Iterator[InMemoryEventLog]:
        yield self._log

    def new_user(self) -> User:
        return user(uuid4())

    def let_pass(self, duration: timedelta) -> None:
        self._log.now += duration

    def count(self) -> int:
        return len(self._log.events)


class SqlWorld:
    def __init__(self, engine: Engine, db: Connection) -> None:
        self.engine = engine
        self.db = db

    @contextmanager
    def request(self, *, commit: bool = True) -> Iterator[SqlEventLog]:
        with transaction(self.engine, commit=commit) as connections:
            yield SqlEventLog(connections)

    def new_user(self) -> User:
        return user(add_user(self.db))

    def let_pass(self, duration: timedelta) -> None:
        """The database's clock is what counts, so everything becomes older instead."""
        older = "UPDATE security_events SET created_at = created_at - :d"
        self.db.execute(text(older), {"d": duration})

    def count(self) -> int:
        return self.db.execute(text("SELECT count(*) FROM security_events")).scalar_one()


def call(world: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """In a request of its own."""
    with world.request() as log:
        return getattr(log, method)(*arguments, **options)


def add(world: Any, *events: AccountEvent, client: Client = HOME) -> None:
    for event in events:
        call(world, "add", event, client)


def of_user(world: Any, owner: User, limit: int = 100, before: int | None = None) -> Any:
    return call(world, "of_user", owner.id, limit=limit, before=before)


@pytest.fixture
def sql(engine: Engine, db: Connection) -> SqlWorld:
    return SqlWorld(engine, db)


@pytest.fixture(params=["fake", "sql"])
def world(request: pytest.FixtureRequest) -> Any:
    return InMemoryWorld() if request.param == "fake" else request.getfixturevalue("sql")


def test_event_is_written_down_with_who_and_whence(world):
    ada, admin = world.new_user(), world.new_user()

    add(world, SessionsRevoked(user=ada, by=admin, count=3))

    [recorded] = of_user(world, ada)
    assert recorded.kind == "sessions_revoked"
    assert (recorded.user_id, recorded.by) == (ada.id, admin.id)
    assert (recorded.address, recorded.user_agent) == ("192.0.2.1", "Browser/1.0")
    assert recorded.details == {"count": 3, "asked_for": False}
    assert recorded.created_at.tzinfo is not None


def test_what_is_not_known_stays_out(world):
    ada = world.new_user()

    add(world, PasswordChanged(user=ada), client=Client(None, None))

    [recorded] = of_user(world, ada)
    assert (recorded.by, recorded.address, recorded.user_agent) == (None, None, None)
    assert recorded.details == {}


@pytest.mark.parametrize(
    ("event", "details"),
    [
        (lambda ada: SignedIn(user=ada, new_device=True), {"new_device": True}),
        (lambda ada: EmailChanged(user=ada, old_email="a\"é'%s🙂@b.c"), {}),
        (
            lambda ada: RoleChanged(user=ada, old_role=Role.MEMBER, new_role=Role.ADMIN),
            {"old_role": "member", "new_role": "admin"},
        ),
        (lambda ada: Throttled(user=ada, action="sign_in"), {"action": "sign_in"}),
    ],
)
def test_details_are_kept_as_they_are(world, event, details):
    ada = world.new_user()

    add(world, event(ada))

    [recorded] = of_user(world, ada)
    assert recorded.details == event(ada).details
    assert details.items() <= recorded.details.items()


def test_events_come_newest_first_and_page_by_page(world):
    ada, bea = world.new_user(), world.new_user()
    for number in range(7):
        add(world, SessionsRevoked(user=ada, count=number), SessionsRevoked(user=bea, count=99))

    pages = [of_user(world, ada, limit=3)]
    while len(pages[-1]) == 3:
        pages.append(of_user(world, ada, limit=3, before=pages[-1][-1].id))

    counts = [[recorded.details["count"] for recorded in page] for page in pages]
    assert counts == [[6, 5, 4], [3, 2, 1], [0]]


def test_events_of_nobody_are_nobodys(world):
    ada = world.new_user()

    add(world, SignInFailed(user=None))

    assert of_user(world, ada) == []
    assert world.count() == 1


def test_old_events_are_purged_in_batches(world):
    ada = world.new_user()
    for _ in range(5):
        add(world, PasswordChanged(user=ada))
    world.let_pass(2 * DAY)
    add(world, SignedIn(user=ada, new_device=False))
    world.let_pass(DAY / 2)

    assert [call(world, "purge", DAY, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert [recorded.kind for recorded in of_user(world, ada)] == ["signed_in"]


# With transactions.


def test_event_is_part_of_the_transaction(sql):
    ada = sql.new_user()

    with sql.request(commit=False) as log:
        log.add(PasswordChanged(user=ada), HOME)
    with sql.request() as log:
        log.add(SignedIn(user=ada, new_device=False), HOME)
        assert sql.count() == 0

    assert [recorded.kind for recorded in of_user(sql, ada)] == ["signed_in"]


def test_failure_outlives_a_rollback(sql):
    ada = sql.new_user()

    with sql.request(commit=False) as log:
        log.add(SignInFailed(user=ada), HOME)
        assert sql.count() == 1  # Already.

    assert [recorded.kind for recorded in of_user(sql, ada)] == ["sign_in_failed"]


def test_events_of_a_user_go_with_the_user_but_the_one_that_says_so(sql):
    ada = sql.new_user()
    add(sql, PasswordChanged(user=ada), SignInFailed(user=ada))

    with transaction(sql.engine) as connections:
        connections.inside(lambda c: c.execute(text("DELETE FROM users")))
        SqlEventLog(connections).add(UserDeleted(user=ada), HOME)

    kept = sql.db.execute(text("SELECT kind, user_id, details FROM security_events")).all()
    assert kept == [("deleted", None, {"id": str(ada.id)})]


@pytest.mark.parametrize("event", [PasswordChanged, SignInFailed])
def test_event_of_a_user_who_is_deleted_meanwhile_is_kept_as_nobodys(sql, event):
    ada = sql.new_user()

    with sql.engine.connect() as deleting, ThreadPoolExecutor(1) as thread:
        deleting.execute(text("DELETE FROM users"))
        adding = thread.submit(add, sql, event(user=ada))
        wait_until_blocked(sql.db)
        deleting.commit()
        adding.result(timeout=10)

    kept = sql.db.execute(text("SELECT kind, user_id FROM security_events")).all()
    assert kept == [(event.kind, None)]


def test_user_who_is_being_changed_keeps_no_event_waiting(sql):
    """The request itself may hold its user, while it writes a failure down on the outside."""
    ada = sql.new_user()

    with transaction(sql.engine) as connections:
        changed = text("UPDATE users SET name = 'New', password_hash = 'new', email = 'a@b.c'")
        connections.inside(lambda c: c.execute(changed))
        SqlEventLog(connections).add(SignInFailed(user=ada), HOME)

    assert len(of_user(sql, ada)) == 1


def test_purge_reads_no_more_than_a_batch_however_many_events_there_are(sql):
    many = "INSERT INTO security_events (kind) SELECT 'signed_in' FROM generate_series(1, 5000)"
    sql.db.execute(text(many))
    sql.db.execute(text("ANALYZE security_events"))
    plans = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith("DELETE FROM security_events"):
            explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            plans.append(connection.exec_driver_sql(explained, parameters).scalar_one())

    with listening(sql.engine, "after_cursor_execute", explain):
        assert call(sql, "purge", DAY, 10) == 0

    [[explained]] = plans
    assert rows_read(explained["Plan"]) <= 10


def rows_read(plan: Any) -> int:
    """From the table, by all parts of the plan."""
    below = sum(rows_read(part) for part in plan.get("Plans", []))
    if "Relation Name" not in plan or plan["Node Type"] == "ModifyTable":
        return below
    removed = plan.get("Rows Removed by Filter", 0)
    return below + plan["Actual Loops"] * (int(plan["Actual Rows"]) + removed)


@contextmanager
def listening(engine: Engine, name: str, listener: Any) -> Iterator[None]:
    sqlalchemy.event.listen(engine, name, listener)
    yield
    sqlalchemy.event.remove(engine, name, listener)


def test_purge_is_committed_at_once(sql):
    add(sql, PasswordChanged(user=sql.new_user()))
    sql.let_pass(2 * DAY)

    with sql.request(commit=False) as log:
        assert log.purge(DAY, 10) == 1

    assert sql.count() == 0
