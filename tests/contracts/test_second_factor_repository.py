"""What every repository of second factors does, the fake and the real one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine

from authapp.domain.errors import UserNotFound
from authapp.domain.second_factor import SecondFactor, SecondFactorRepository
from authapp.domain.users import User, UserRepository
from authapp.repositories.connections import BoundConnections, OwnConnections
from authapp.repositories.second_factor import SqlSecondFactors
from authapp.repositories.users import SqlUserRepository
from tests.contracts.waiting import wait_until_blocked
from tests.fakes import InMemoryUserRepository
from tests.fakes_accounts import InMemorySecondFactors

HASH = "$2b$04$" + "a" * 53
SEALED, OTHER_SEALED = b"sealed", b"sealed by another key"
CODES = [b"one", b"two", b"three"]


@dataclass
class World:
    users: UserRepository
    factors: SecondFactorRepository

    def new_user(self, email: str = "ada@example.com") -> User:
        return self.users.add("Ada", email, HASH)

    def factor_of(self, user: User) -> SecondFactor:
        factor = self.factors.find(user.id)
        assert factor is not None
        return factor


@pytest.fixture(params=["in memory", "sql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "in memory":
        users = InMemoryUserRepository()
        yield World(users, InMemorySecondFactors(users))
        return
    request.getfixturevalue("db")
    engine: Engine = request.getfixturevalue("engine")
    with engine.connect() as connection:
        connections = BoundConnections(connection)
        yield World(SqlUserRepository(connections), SqlSecondFactors(connections))
        connection.rollback()


class TestSettingUp:
    def test_a_new_user_has_none(self, world: World):
        ada = world.new_user()

        assert world.factors.find(ada.id) is None
        assert world.factors.count_recovery_codes(ada.id) == 0

    def test_one_that_was_begun_does_not_count_yet(self, world: World):
        ada = world.new_user()

        world.factors.begin(ada.id, SEALED)

        assert world.factor_of(ada) == SecondFactor(ada.id, SEALED, None)
        assert world.users.by_id(ada.id) == ada
        assert not ada.has_second_factor

    def test_beginning_anew_forgets_the_one_before(self, world: World):
        ada = world.new_user()
        world.factors.begin(ada.id, SEALED)
        world.factors.use(world.factor_of(ada), 7, SEALED)

        world.factors.begin(ada.id, OTHER_SEALED)

        assert world.factor_of(ada) == SecondFactor(ada.id, OTHER_SEALED, None)

    def test_one_that_is_activated_counts(self, world: World):
        ada, bo = world.new_user(), world.new_user("bo@example.com")
        world.factors.begin(ada.id, SEALED)

        activated = world.factors.activate(ada.id)

        assert activated.has_second_factor
        assert world.users.by_id(ada.id) == activated
        assert world.users.by_id(bo.id) == bo

    def test_the_account_is_another_to_whoever_confirms_it(self, world: World):
        """A sign-in that was begun before must not be completed without the factor."""
        ada = world.new_user()
        before = world.users.credentials(ada.email)
        assert before is not None

        world.factors.activate(ada.id)

        assert not world.users.hold_unchanged(before)
        now = world.users.credentials(ada.email)
        assert now is not None
        assert world.users.hold_unchanged(now)

    def test_removing_it_leaves_nothing(self, world: World):
        ada, bo = world.new_user(), world.new_user("bo@example.com")
        for user in (ada, bo):
            world.factors.begin(user.id, SEALED)
            world.factors.replace_recovery_codes(user.id, CODES)
            world.factors.activate(user.id)

        removed = world.factors.remove(ada.id)

        assert removed == ada
        assert world.users.by_id(ada.id) == ada
        assert world.factors.find(ada.id) is None
        assert world.factors.count_recovery_codes(ada.id) == 0
        assert world.factors.count_recovery_codes(bo.id) == len(CODES)
        assert world.factor_of(bo).sealed_secret == SEALED

    def test_nobody_has_none_to_change(self, world: World):
        with pytest.raises(UserNotFound):
            world.factors.activate(uuid4())
        with pytest.raises(UserNotFound):
            world.factors.remove(uuid4())


class TestUse:
    def test_of_a_step_makes_it_and_all_before_it_void(self, world: World):
        ada = world.new_user()
        world.factors.begin(ada.id, SEALED)
        factor = world.factor_of(ada)

        given = [world.factors.use(factor, step, SEALED) for step in (5, 5, 4, 6)]

        assert given == [True, False, False, True]
        assert world.factor_of(ada).last_step == 6

    def test_keeps_the_secret_as_it_is_sealed_now(self, world: World):
        ada = world.new_user()
        world.factors.begin(ada.id, SEALED)
        factor = world.factor_of(ada)

        world.factors.use(factor, 5, OTHER_SEALED)
        world.factors.use(factor, 5, b"refused")

        assert world.factor_of(ada).sealed_secret == OTHER_SEALED

    def test_of_one_that_was_removed_is_refused(self, world: World):
        ada = world.new_user()
        world.factors.begin(ada.id, SEALED)
        factor = world.factor_of(ada)
        world.factors.remove(ada.id)

        assert world.factors.use(factor, 5, SEALED) is False

    def test_concerns_one_account_alone(self, world: World):
        ada, bo = world.new_user(), world.new_user("bo@example.com")
        for user in (ada, bo):
            world.factors.begin(user.id, SEALED)

        world.factors.use(world.factor_of(ada), 5, SEALED)

        assert world.factor_of(bo).last_step is None


class TestRecoveryCodes:
    def test_are_good_once(self, world: World):
        ada = world.new_user()
        world.factors.replace_recovery_codes(ada.id, CODES)

        assert world.factors.has_recovery_code(ada.id, b"two")
        assert world.factors.use_recovery_code(ada.id, b"two")

        assert not world.factors.has_recovery_code(ada.id, b"two")
        assert not world.factors.use_recovery_code(ada.id, b"two")
        assert world.factors.count_recovery_codes(ada.id) == 2

    def test_that_are_unknown_are_refused(self, world: World):
        ada = world.new_user()
        world.factors.replace_recovery_codes(ada.id, CODES)

        assert not world.factors.use_recovery_code(ada.id, b"four")
        assert world.factors.count_recovery_codes(ada.id) == 3

    def test_of_others_are_refused_and_stay(self, world: World):
        ada, bo = world.new_user(), world.new_user("bo@example.com")
        world.factors.replace_recovery_codes(ada.id, CODES)

        assert not world.factors.has_recovery_code(bo.id, b"one")
        assert not world.factors.use_recovery_code(bo.id, b"one")
        assert world.factors.has_recovery_code(ada.id, b"one")

    def test_that_are_replaced_are_void(self, world: World):
        ada = world.new_user()
        world.factors.replace_recovery_codes(ada.id, CODES)

        world.factors.replace_recovery_codes(ada.id, [b"three", b"four"])

        assert not world.factors.has_recovery_code(ada.id, b"one")
        assert world.factors.has_recovery_code(ada.id, b"three")
        assert world.factors.count_recovery_codes(ada.id) == 2


class Races:
    """Two transactions at once, on real connections."""

    def __init__(self, engine: Engine, db: Connection) -> None:
        self._engine = engine
        self._db = db
        own = OwnConnections(engine)
        self.users, self.factors = SqlUserRepository(own), SqlSecondFactors(own)

    @contextmanager
    def transaction(self) -> Iterator[SqlSecondFactors]:
        with self._engine.begin() as connection:
            yield SqlSecondFactors(BoundConnections(connection))

    def second_of_two(self, act: Any, *, first_commits: bool = True) -> Any:
        """What the second gets, which has to wait until the first is through."""
        with ThreadPoolExecutor(1) as thread, self._engine.connect() as connection:
            assert act(SqlSecondFactors(BoundConnections(connection)))
            second = thread.submit(self._in_transaction, act)
            wait_until_blocked(self._db)
            if first_commits:
                connection.commit()
            else:
                connection.rollback()
            return second.result(timeout=10)

    def _in_transaction(self, act: Any) -> Any:
        with self.transaction() as factors:
            return act(factors)


@pytest.fixture
def races(engine: Engine, db: Connection) -> Races:
    return Races(engine, db)


@pytest.mark.parametrize("first_commits", [True, False])
def test_of_two_who_use_one_step_at_once_the_second_may_only_if_the_first_gives_up(
    races: Races, first_commits: bool
):
    ada = races.users.add("Ada", "ada@example.com", HASH)
    races.factors.begin(ada.id, SEALED)
    factor = races.factors.find(ada.id)
    assert factor is not None

    def use(factors: SqlSecondFactors) -> bool:
        return factors.use(factor, 5, SEALED)

    assert races.second_of_two(use, first_commits=first_commits) is not first_commits


@pytest.mark.parametrize("first_commits", [True, False])
def test_of_two_who_use_one_recovery_code_at_once_the_second_may_only_if_the_first_gives_up(
    races: Races, first_commits: bool
):
    ada = races.users.add("Ada", "ada@example.com", HASH)
    races.factors.replace_recovery_codes(ada.id, CODES)

    def use(factors: SqlSecondFactors) -> bool:
        return factors.use_recovery_code(ada.id, b"one")

    assert races.second_of_two(use, first_commits=first_commits) is not first_commits
