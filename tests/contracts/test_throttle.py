"""What every throttle does, the fake and the real one."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from authapp.domain.throttle import Limit, Rate, Throttle, TooManyAttempts
from authapp.repositories.connections import OwnConnections
from authapp.repositories.throttle import SqlThrottle
from tests.contracts.transactions import transaction
from tests.fakes_accounts import InMemoryThrottle

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
QUARTER = 15 * MINUTE
THREE = Limit("sign_in account", "ada@example.com", Rate(3, QUARTER))
OTHER = Limit("sign_in account", "bea@example.com", Rate(3, QUARTER))
FIVE = Limit("sign_in address", "192.0.2.1", Rate(5, 4 * QUARTER))


class InMemoryWorld:
    def __init__(self) -> None:
        self.throttle = InMemoryThrottle()

    def let_pass(self, duration: timedelta) -> None:
        self.throttle.now += duration

    def count(self, limit: Limit) -> int:
        return self.throttle.counters.get(limit.key, (0, self.throttle.now))[0]


class SqlWorld:
    def __init__(self, engine: Engine, db: Connection) -> None:
        self.engine = engine
        self.db = db
        self.throttle = SqlThrottle(OwnConnections(engine))

    def let_pass(self, duration: timedelta) -> None:
        """The database's clock is what counts, so everything becomes older instead."""
        self.db.execute(text("UPDATE throttles SET resets_at = resets_at - :d"), {"d": duration})

    def count(self, limit: Limit) -> int:
        statement = text("SELECT count FROM throttles WHERE key = :key")
        return self.db.execute(statement, {"key": limit.key}).scalar_one_or_none() or 0


@pytest.fixture
def sql(engine: Engine, db: Connection) -> SqlWorld:
    return SqlWorld(engine, db)


@pytest.fixture(params=["fake", "sql"])
def world(request: pytest.FixtureRequest) -> Any:
    return InMemoryWorld() if request.param == "fake" else request.getfixturevalue("sql")


@pytest.fixture
def throttle(world: Any) -> Throttle:
    return world.throttle


def take(throttle: Throttle, *limits: Limit, times: int = 1) -> None:
    for _ in range(times):
        throttle.take(limits)


def refusal(throttle: Throttle, *limits: Limit) -> TooManyAttempts:
    with pytest.raises(TooManyAttempts) as refused:
        throttle.take(limits)
    return refused.value


def test_as_many_as_the_limit_allows_pass_and_no_more(throttle):
    take(throttle, THREE, times=3)

    refused = refusal(throttle, THREE)

    assert QUARTER - MINUTE < refused.retry_after <= QUARTER


def test_the_first_that_is_refused_is_told_from_those_after_it(throttle):
    take(throttle, THREE, times=3)

    assert [refusal(throttle, THREE).is_first for _ in range(3)] == [True, False, False]


def test_others_have_counts_of_their_own(throttle):
    take(throttle, THREE, times=3)

    take(throttle, OTHER, times=3)
    take(throttle, Limit("password account", THREE.subject, THREE.rate), times=3)


def test_the_period_begins_with_the_first_attempt_and_goes_on_with_none(world, throttle):
    take(throttle, THREE)
    world.let_pass(QUARTER - MINUTE)
    take(throttle, THREE, times=2)
    assert timedelta(0) < refusal(throttle, THREE).retry_after <= MINUTE

    world.let_pass(MINUTE)

    take(throttle, THREE, times=3)
    assert refusal(throttle, THREE).is_first


def test_waiting_is_never_said_to_be_shorter_than_a_second(world, throttle):
    take(throttle, THREE, times=3)
    world.let_pass(QUARTER - timedelta(milliseconds=900))

    assert refusal(throttle, THREE).retry_after == SECOND


def test_limits_are_counted_in_their_order_up_to_the_one_that_is_exceeded(world, throttle):
    take(throttle, THREE, times=3)

    refusal(throttle, FIVE, THREE, OTHER)

    assert [world.count(limit) for limit in (FIVE, THREE, OTHER)] == [1, 4, 0]


def test_an_attempt_is_given_back(world, throttle):
    take(throttle, THREE, FIVE, times=2)

    throttle.give_back([THREE, FIVE])

    assert [world.count(limit) for limit in (THREE, FIVE)] == [1, 1]


def test_no_more_is_given_back_than_was_taken(world, throttle):
    take(throttle, THREE)

    for _ in range(3):
        throttle.give_back([THREE, OTHER])

    assert [world.count(limit) for limit in (THREE, OTHER)] == [0, 0]
    take(throttle, THREE, times=3)
    refusal(throttle, THREE)


def test_attempts_are_forgotten(world, throttle):
    take(throttle, THREE, OTHER, times=3)

    throttle.clear([THREE])

    take(throttle, THREE, times=3)
    refusal(throttle, OTHER)


def test_nothing_is_counted_without_a_limit(throttle):
    throttle.take([])
    throttle.give_back([])
    throttle.clear([])

    assert throttle.purge(10) == 0


def test_what_is_over_is_purged_in_batches_and_nothing_else(world, throttle):
    third = Limit("third", "third", Rate(3, QUARTER))
    take(throttle, THREE, OTHER, FIVE, third)
    world.let_pass(QUARTER)

    assert [throttle.purge(2) for _ in range(3)] == [2, 1, 0]
    assert world.count(FIVE) == 1


# With transactions, and many at once.


def at_once(times: int, act: Callable[[int], Any]) -> Sequence[Any]:
    """What `act` gives in each of so many threads, all of which begin together."""
    meeting = threading.Barrier(times, timeout=20)

    def run(number: int) -> Any:
        meeting.wait()
        return act(number)

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(run, range(times)))


def test_fifty_attempts_at_once_count_exactly_fifty(sql):
    def attempt(_number: int) -> str:
        try:
            sql.throttle.take([THREE])
        except TooManyAttempts as refused:
            return "the first" if refused.is_first else "refused"
        return "passed"

    assert Counter(at_once(50, attempt)) == {"passed": 3, "the first": 1, "refused": 46}
    assert sql.count(THREE) == 50


def test_nor_do_they_pass_together_when_a_period_begins_anew(sql):
    take(sql.throttle, THREE, times=3)
    sql.let_pass(QUARTER)

    def passes(_number: int) -> bool:
        try:
            sql.throttle.take([THREE])
        except TooManyAttempts:
            return False
        return True

    assert sum(at_once(20, passes)) == 3
    assert sql.count(THREE) == 20


def test_what_many_give_back_at_once_is_all_given_back(sql):
    take(sql.throttle, FIVE, times=5)

    at_once(5, lambda _number: sql.throttle.give_back([FIVE]))

    assert sql.count(FIVE) == 0


def test_two_that_are_counted_in_opposite_orders_do_not_stand_in_each_others_way(sql):
    many = [Limit("a", "b", Rate(100, QUARTER)), Limit("c", "d", Rate(100, QUARTER))]

    def attempt(number: int) -> None:
        for _ in range(5):
            sql.throttle.take(many if number % 2 else many[::-1])

    at_once(8, attempt)

    assert [sql.count(limit) for limit in many] == [40, 40]


def test_attempts_count_although_the_request_is_rolled_back(sql):
    with transaction(sql.engine, commit=False) as connections:
        SqlThrottle(connections).take([THREE])
        connections.inside(lambda c: c.execute(text("SELECT 1")))
        SqlThrottle(connections).take([THREE])

        assert sql.count(THREE) == 2  # Already.

    assert sql.count(THREE) == 2


def test_purge_waits_for_no_attempt_and_no_attempt_is_lost_by_it(sql):
    take(sql.throttle, THREE, OTHER)
    sql.let_pass(QUARTER)

    with sql.engine.connect() as attempting:
        begin_anew = "UPDATE throttles SET resets_at = now() + interval '1h' WHERE key = :key"
        attempting.execute(text(begin_anew), {"key": THREE.key})
        assert sql.throttle.purge(10) == 1
        attempting.commit()

    assert sql.throttle.purge(10) == 0
    assert [sql.count(limit) for limit in (THREE, OTHER)] == [1, 0]


def test_neither_names_nor_addresses_are_kept(sql):
    take(sql.throttle, THREE, FIVE)

    kept = repr(sql.db.execute(text("SELECT *, encode(key, 'escape') FROM throttles")).all())
    assert THREE.subject not in kept
    assert FIVE.subject not in kept
