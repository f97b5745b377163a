"""What every repository of tokens does, the fake and the real one."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from authapp.domain.tokens import Purpose, Token, TokenRepository, new_token, token_hash
from authapp.repositories.tokens import SqlTokenRepository
from tests.contracts.transactions import transaction
from tests.contracts.users import add_user
from tests.contracts.waiting import wait_until_blocked
from tests.fakes_accounts import InMemoryTokens

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


class InMemoryWorld:
    def __init__(self) -> None:
        self._tokens = InMemoryTokens()

    @contextmanager
    def request(self) -> Iterator[TokenRepository]:
        yield self._tokens

    def new_user(self) -> UUID:
        return uuid4()

    def let_pass(self, duration: timedelta) -> None:
        self._tokens.now += duration

    def count(self) -> int:
        return len(self._tokens.tokens)


class SqlWorld:
    def __init__(self, engine: Engine, db: Connection) -> None:
        self.engine = engine
        self.db = db

    @contextmanager
    def request(self, *, commit: bool = True) -> Iterator[TokenRepository]:
        with transaction(self.engine, commit=commit) as connections:
            yield SqlTokenRepository(connections)

    def new_user(self) -> UUID:
        return add_user(self.db)

    def let_pass(self, duration: timedelta) -> None:
        """The database's clock is what counts, so everything becomes older instead."""
        self.db.execute(text("UPDATE tokens SET expires_at = expires_at - :d"), {"d": duration})

    def count(self) -> int:
        return self.db.execute(text("SELECT count(*) FROM tokens")).scalar_one()


def call(world: Any, method: str, *arguments: Any) -> Any:
    """In a request of its own."""
    with world.request() as tokens:
        return getattr(tokens, method)(*arguments)


def add(
    world: Any,
    user_id: UUID,
    purpose: Purpose = Purpose.RESET_PASSWORD,
    lifetime: timedelta = HOUR,
) -> bytes:
    hashed = token_hash(new_token())
    call(world, "add", hashed, Token(purpose, user_id, "ada@example.com"), lifetime)
    return hashed


@pytest.fixture
def sql(engine: Engine, db: Connection) -> SqlWorld:
    return SqlWorld(engine, db)


@pytest.fixture(params=["fake", "sql"])
def world(request: pytest.FixtureRequest) -> Any:
    return InMemoryWorld() if request.param == "fake" else request.getfixturevalue("sql")


@pytest.mark.parametrize("purpose", Purpose)
def test_token_stands_for_what_it_was_made_for_and_looking_leaves_it_good(world, purpose):
    ada = world.new_user()
    one = add(world, ada, purpose)

    for _ in range(3):
        assert call(world, "find", one) == Token(purpose, ada, "ada@example.com")
    assert call(world, "use", one) is True


def test_another_token_is_none(world):
    add(world, world.new_user())

    other = token_hash(new_token())
    assert call(world, "find", other) is None
    assert call(world, "use", other) is False


def test_token_is_good_once(world):
    ada = world.new_user()
    one, other = add(world, ada), add(world, ada)

    assert call(world, "use", one) is True
    assert call(world, "use", one) is False
    assert call(world, "find", one) is None
    assert call(world, "find", other) is not None


def test_token_is_good_until_its_time_is_over(world):
    ada = world.new_user()
    one, longer = add(world, ada), add(world, ada, lifetime=2 * HOUR)

    world.let_pass(HOUR - 30 * SECOND)
    assert call(world, "find", one) is not None

    world.let_pass(30 * SECOND)
    assert call(world, "find", one) is None
    assert call(world, "use", one) is False
    assert call(world, "use", longer) is True


def test_those_of_a_user_for_some_purposes_are_revoked(world):
    ada, bea = world.new_user(), world.new_user()
    of_ada = {purpose: add(world, ada, purpose) for purpose in Purpose}
    of_bea = add(world, bea)

    call(world, "revoke", ada, Purpose.RESET_PASSWORD, Purpose.CHANGE_EMAIL)

    good = [purpose for purpose, token in of_ada.items() if call(world, "find", token)]
    assert good == [Purpose.VERIFY_EMAIL]
    assert call(world, "find", of_bea) is not None


def test_all_of_a_user_are_revoked(world):
    ada, bea = world.new_user(), world.new_user()
    of_ada = [add(world, ada, purpose) for purpose in Purpose]
    of_bea = add(world, bea)

    call(world, "revoke", ada)

    assert [call(world, "use", token) for token in of_ada] == [False] * len(of_ada)
    assert call(world, "use", of_bea) is True


def test_what_has_expired_is_purged_in_batches_and_nothing_else(world):
    ada = world.new_user()
    good = add(world, ada, lifetime=2 * HOUR)
    for _ in range(5):
        add(world, ada)
    world.let_pass(HOUR)

    assert [call(world, "purge", 2) for _ in range(4)] == [2, 2, 1, 0]
    assert world.count() == 1
    assert call(world, "find", good) is not None


# With transactions.


@pytest.mark.parametrize("commit", [True, False])
def test_of_two_who_use_a_token_at_once_the_second_may_only_if_the_first_rolls_back(sql, commit):
    one = add(sql, sql.new_user())

    with ThreadPoolExecutor(1) as thread:
        with sql.request(commit=commit) as tokens:
            assert tokens.use(one) is True
            second = thread.submit(call, sql, "use", one)
            wait_until_blocked(sql.db)
        assert second.result(timeout=10) is not commit


def test_of_many_who_use_a_token_at_once_one_may(sql):
    one = add(sql, sql.new_user())
    meeting = threading.Barrier(8, timeout=10)

    def use(_number: int) -> Any:
        with sql.request() as tokens:
            tokens.find(one)
            meeting.wait()
            return tokens.use(one)

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(use, range(8))) == [False] * 7 + [True]


def test_token_that_was_used_in_vain_is_still_good(sql):
    one = add(sql, sql.new_user())

    with sql.request(commit=False) as tokens:
        assert tokens.use(one) is True

    assert call(sql, "find", one) is not None


def test_token_and_its_revocation_are_part_of_the_transaction(sql):
    ada = sql.new_user()
    kept, never = add(sql, ada), token_hash(new_token())

    with sql.request(commit=False) as tokens:
        tokens.add(never, Token(Purpose.RESET_PASSWORD, ada, "ada@example.com"), HOUR)
        tokens.revoke(ada)

    assert call(sql, "find", never) is None
    assert call(sql, "find", kept) is not None


def test_purge_is_not(sql):
    add(sql, sql.new_user())
    sql.let_pass(HOUR)

    with sql.request(commit=False) as tokens:
        assert tokens.purge(10) == 1

    assert sql.count() == 0


def test_tokens_go_with_their_user(sql):
    one = add(sql, sql.new_user())

    sql.db.execute(text("DELETE FROM users"))

    assert call(sql, "find", one) is None
    assert sql.count() == 0


def test_token_for_a_user_who_is_gone_is_none(sql):
    one = add(sql, uuid4())

    assert call(sql, "find", one) is None


def test_nor_is_one_for_a_user_who_is_deleted_at_this_very_moment(sql):
    ada = sql.new_user()

    with sql.engine.connect() as deleting, ThreadPoolExecutor(1) as thread:
        deleting.execute(text("DELETE FROM users"))
        adding = thread.submit(add, sql, ada)
        wait_until_blocked(sql.db)
        deleting.commit()
        one = adding.result(timeout=10)

    assert call(sql, "find", one) is None
