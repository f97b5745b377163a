"""What every directory of users does, the fake and the real one; and what its lists cost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from authapp.domain.errors import UserNotFound
from authapp.domain.users import Role, Status, User, UserDirectory, UserQuery, UserRepository
from authapp.repositories.connections import BoundConnections
from authapp.repositories.users import SqlUserDirectory, SqlUserRepository
from tests.contracts.waiting import wait_until_blocked
from tests.fakes import InMemoryUserDirectory, InMemoryUserRepository

Both = tuple[UserRepository, UserDirectory]
ALL = UserQuery()


@pytest.fixture(params=["in memory", "sql"])
def both(request):
    if request.param == "in memory":
        users = InMemoryUserRepository()
        yield users, InMemoryUserDirectory(users)
        return
    request.getfixturevalue("db")
    with request.getfixturevalue("engine").connect() as connection:
        connections = BoundConnections(connection)
        yield SqlUserRepository(connections), SqlUserDirectory(connections)
        connection.rollback()


@pytest.fixture
def users(both: Both) -> UserRepository:
    return both[0]


@pytest.fixture
def directory(both: Both) -> UserDirectory:
    return both[1]


def add(users: UserRepository, *emails: str) -> list[User]:
    return [users.add(email.title(), email, "a hash") for email in emails]


def listed(directory: UserDirectory, *args: Any, limit: int = 100, **kw: Any) -> list[str]:
    return [user.email for user in directory.page(*args, limit=limit, **kw)]


class TestUserDirectory:
    def test_users_come_in_the_order_of_their_folded_addresses(
        self, users: UserRepository, directory: UserDirectory
    ):
        add(users, "b@x.org", "A@x.org", "é@x.org", "_@x.org", "a-@x.org", "Z@x.org", "a.b@x.org")

        assert listed(directory, ALL) == [
            *("_@x.org", "a-@x.org", "a.b@x.org", "A@x.org", "b@x.org", "Z@x.org", "é@x.org")
        ]

    def test_pages_follow_each_other_without_gaps(
        self, users: UserRepository, directory: UserDirectory
    ):
        add(users, "a@x.org", "B@x.org", "c@x.org", "d@x.org", "E@x.org")

        assert listed(directory, ALL, limit=2) == ["a@x.org", "B@x.org"]
        assert listed(directory, ALL, limit=2, after="B@x.org") == ["c@x.org", "d@x.org"]
        assert listed(directory, ALL, limit=2, after="d@x.org") == ["E@x.org"]
        assert listed(directory, ALL, limit=2, after="e@x.org") == []

    def test_page_begins_behind_an_address_that_nobody_has(
        self, users: UserRepository, directory: UserDirectory
    ):
        add(users, "a@x.org", "c@x.org")

        assert listed(directory, ALL, after="b@x.org") == ["c@x.org"]

    def test_users_are_found_by_the_beginning_of_the_address(
        self, users: UserRepository, directory: UserDirectory
    ):
        add(users, "Ada@x.org", "adam@x.org", "a_a@x.org", "a%a@x.org", "a\\a@x.org", "k@x.org")

        assert listed(directory, UserQuery("ADA")) == ["Ada@x.org", "adam@x.org"]
        assert listed(directory, UserQuery("ada"), after="Ada@x.org") == ["adam@x.org"]
        assert listed(directory, UserQuery("a_")) == ["a_a@x.org"]
        assert listed(directory, UserQuery("a%")) == ["a%a@x.org"]
        assert listed(directory, UserQuery("a\\")) == ["a\\a@x.org"]
        assert listed(directory, UserQuery("\u212a")) == []
        assert listed(directory, UserQuery("x.org")) == []

    def test_users_are_found_by_role_and_status(
        self, users: UserRepository, directory: UserDirectory
    ):
        add(users, "a@x.org")
        _, admin, disabled, both = add(users, "b@x.org", "c@x.org", "d@x.org", "e@x.org")
        for user in (admin, both):
            directory.set_role(user.id, Role.ADMIN)
        for user in (disabled, both):
            directory.set_status(user.id, Status.DISABLED)

        assert listed(directory, UserQuery(role=Role.ADMIN)) == ["c@x.org", "e@x.org"]
        assert listed(directory, UserQuery(status=Status.DISABLED)) == ["d@x.org", "e@x.org"]
        assert listed(directory, UserQuery("e", Role.ADMIN, Status.DISABLED)) == ["e@x.org"]
        assert listed(directory, UserQuery("a", Role.ADMIN, Status.DISABLED)) == []
        members = UserQuery(role=Role.MEMBER, status=Status.ACTIVE)
        assert listed(directory, members) == ["a@x.org", "b@x.org"]

    def test_status_and_role_are_set_for_one_user_alone(
        self, users: UserRepository, directory: UserDirectory
    ):
        ada, bo = add(users, "ada@x.org", "bo@x.org")

        disabled = directory.set_status(ada.id, Status.DISABLED)
        admin = directory.set_role(ada.id, Role.ADMIN)

        assert (disabled.role, disabled.status) == (Role.MEMBER, Status.DISABLED)
        assert (admin.role, admin.status) == (Role.ADMIN, Status.DISABLED)
        assert users.by_id(ada.id) == admin
        assert users.by_id(bo.id) == bo

    def test_nobody_is_changed(self, directory: UserDirectory):
        with pytest.raises(UserNotFound):
            directory.set_status(uuid4(), Status.DISABLED)
        with pytest.raises(UserNotFound):
            directory.set_role(uuid4(), Role.ADMIN)

    def test_administrators_are_those_who_are_active(
        self, users: UserRepository, directory: UserDirectory
    ):
        _, ada, bo, cy = add(users, "m@x.org", "ada@x.org", "bo@x.org", "cy@x.org")
        for user in (ada, bo, cy):
            directory.set_role(user.id, Role.ADMIN)
        directory.set_status(bo.id, Status.DISABLED)

        assert set(users.hold_admins()) == {ada.id, cy.id}


def test_whoever_asks_for_the_administrators_second_sees_what_the_first_has_left(
    engine: Engine, db: Connection
):
    with ThreadPoolExecutor(1) as thread, engine.connect() as one, engine.connect() as other:
        users = SqlUserRepository(BoundConnections(one))
        directory = SqlUserDirectory(BoundConnections(one))
        for user in add(users, "ada@x.org", "bo@x.org"):
            directory.set_role(user.id, Role.ADMIN)
        one.commit()

        first = list(users.hold_admins())
        second = thread.submit(SqlUserRepository(BoundConnections(other)).hold_admins)
        wait_until_blocked(db)
        directory.set_role(first[0], Role.MEMBER)
        one.commit()

        assert list(second.result()) == first[1:]
        other.rollback()


def test_rows_that_refer_to_an_administrator_who_is_held_can_be_written(
    engine: Engine, db: Connection
):
    """Of events that are written down at once, beside the transaction that holds them."""
    with engine.connect() as one:
        users = SqlUserRepository(BoundConnections(one))
        [ada] = add(users, "ada@x.org")
        SqlUserDirectory(BoundConnections(one)).set_role(ada.id, Role.ADMIN)
        one.commit()
        users.hold_admins()

        db.execute(text("SET lock_timeout = '5s'"))
        db.execute(text("INSERT INTO security_events (kind, user_id) SELECT 'x', id FROM users"))
        db.execute(text("RESET lock_timeout"))
        one.rollback()


# What a page costs. Of 100,000 users one in a thousand is an administrator, and a tenth, whose
# addresses all stand at the end, is disabled: who expects them everywhere reads nearly all rows.

MANY, PAGE = 100_000, 51
INDEXES = {"uq_users_email", "ix_users_email_by_role", "ix_users_email_by_status"}


@pytest.fixture(scope="module")
def crowd(engine: Engine) -> Iterator[Connection]:
    """A connection whose transaction has seen many users come, and nobody else sees them."""
    with engine.connect() as connection:
        connection.execute(text("DELETE FROM users"))
        connection.execute(
            text(
                "INSERT INTO users (name, email, password_hash, role, status) SELECT 'Somebody', "
                "lpad(n::text, 6, '0') || '@Example.com', 'x', "
                "CASE WHEN n % 1000 = 0 THEN 'admin' ELSE 'member' END, "
                "CASE WHEN n > :many * 0.9 THEN 'disabled' ELSE 'active' END "
                "FROM generate_series(1, :many) n"
            ),
            {"many": MANY},
        )
        connection.execute(text("ANALYZE users"))
        yield connection
        connection.rollback()
        # What nobody sees is in the way of the next tests all the same.
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM users"))


class Explained:
    """Connections that note the plan of each statement, with how it went."""

    def __init__(self, connection: Connection) -> None:
        self.plans: list[Any] = []
        self._connection = connection

    def beside(self, work: Any) -> Any:
        return work(self)

    def execute(self, statement: Any) -> Any:
        compiled = statement.compile(
            self._connection.engine, compile_kwargs={"literal_binds": True}
        )
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {compiled}"
        self.plans.append(self._connection.exec_driver_sql(explain).scalar_one()[0]["Plan"])
        return self._connection.execute(statement)


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("after", [None, "050000@example.com", "095000@example.com"])
@pytest.mark.parametrize(
    "query",
    [
        ALL,
        UserQuery("05"),
        UserQuery("09"),
        UserQuery("0950001@example.com"),
        UserQuery(role=Role.ADMIN),
        UserQuery(status=Status.DISABLED),
        UserQuery("09", status=Status.DISABLED),
        UserQuery("09", role=Role.ADMIN),
        UserQuery(role=Role.MEMBER),
        UserQuery(role=Role.ADMIN, status=Status.ACTIVE),
        UserQuery(role=Role.ADMIN, status=Status.DISABLED),
        UserQuery(role=Role.MEMBER, status=Status.DISABLED),
    ],
    ids=str,
)
def test_each_page_reads_a_stretch_of_an_index_and_no_more(
    crowd: Connection, query: UserQuery, after: str | None
):
    explained: Any = Explained(crowd)

    found = SqlUserDirectory(explained).page(query, limit=PAGE, after=after)

    [plan] = explained.plans
    assert len(found) == plan["Actual Rows"]
    assert {node["Node Type"] for node in nodes(plan)} <= {"Limit", "Index Scan"}
    [scan] = [node for node in nodes(plan) if node["Node Type"] == "Index Scan"]
    assert scan["Index Name"] in INDEXES
    assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) <= 2 * PAGE
