"""What every outbox does, the fake and the real one."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from authapp.domain.mail import Letter, LetterKind, Outbox, OutboxCounts
from authapp.repositories.connections import OwnConnections
from authapp.repositories.outbox import SqlOutbox
from tests.contracts.transactions import transaction
from tests.contracts.users import add_user
from tests.contracts.waiting import wait_until_blocked
from tests.fakes_accounts import InMemoryOutbox

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
LEASE = 5 * MINUTE
DAY = timedelta(days=1)


class InMemoryWorld:
    def __init__(self) -> None:
        self._outbox = InMemoryOutbox()

    @contextmanager
    def request(self) -> Iterator[Outbox]:
        yield self._outbox

    def new_user(self) -> UUID:
        return uuid4()

    def let_pass(self, duration: timedelta) -> None:
        self._outbox.now += duration


class SqlWorld:
    def __init__(self, engine: Engine, db: Connection) -> None:
        self.engine = engine
        self.db = db

    @contextmanager
    def request(self, *, commit: bool = True) -> Iterator[Outbox]:
        with transaction(self.engine, commit=commit) as connections:
            yield SqlOutbox(connections)

    def new_user(self) -> UUID:
        return add_user(self.db)

    def let_pass(self, duration: timedelta) -> None:
        """The database's clock is what counts, so everything becomes older instead."""
        older = "UPDATE outbox SET due_at = due_at - :d, created_at = created_at - :d"
        self.db.execute(text(older), {"d": duration})


def call(world: Any, method: str, *arguments: Any) -> Any:
    """In a request of its own."""
    with world.request() as outbox:
        return getattr(outbox, method)(*arguments)


def letter(
    number: int = 0, user_id: UUID | None = None, kind: LetterKind = LetterKind.PASSWORD_CHANGED
) -> Letter:
    return Letter(kind, f"ada{number}@example.com", user_id)


def claim(world: Any, limit: int = 100) -> Any:
    return call(world, "claim", limit, LEASE)


def letters(claimed: Any) -> list[Letter]:
    return [posted.letter for posted in claimed]


@pytest.fixture
def sql(engine: Engine, db: Connection) -> SqlWorld:
    return SqlWorld(engine, db)


@pytest.fixture(params=["fake", "sql"])
def world(request: pytest.FixtureRequest) -> Any:
    return InMemoryWorld() if request.param == "fake" else request.getfixturevalue("sql")


@pytest.mark.parametrize("kind", LetterKind)
@pytest.mark.parametrize("of_user", [True, False])
def test_letter_comes_out_as_it_was_put_in(world, kind, of_user):
    params = {"name": 'Zoë "O\'Neil" 🙂 %s :x \\', "empty": ""}
    put = Letter(kind, "Zoë@Example.com", world.new_user() if of_user else None, params)
    call(world, "put", put)

    [posted] = claim(world)

    assert posted.letter == put
    assert posted.attempt == 1
    assert posted.created_at.tzinfo is not None


def test_no_letter_is_claimed_twice_while_the_lease_lasts(world):
    call(world, "put", letter())
    [first] = claim(world)

    world.let_pass(LEASE - 30 * SECOND)
    assert claim(world) == []

    world.let_pass(30 * SECOND)
    [again] = claim(world)
    assert (again.id, again.letter, again.attempt) == (first.id, first.letter, 2)
    assert claim(world) == []


def test_the_oldest_come_first(world):
    for number in range(4):
        call(world, "put", letter(number))
        world.let_pass(SECOND)

    assert letters(claim(world, 3)) == [letter(0), letter(1), letter(2)]
    assert letters(claim(world, 3)) == [letter(3)]


def test_letter_that_was_sent_is_forgotten(world):
    call(world, "put", letter(0))
    call(world, "put", letter(1))
    first, second = claim(world)

    call(world, "sent", first.id)
    call(world, "sent", first.id)
    world.let_pass(LEASE)

    assert [posted.id for posted in claim(world)] == [second.id]


def test_letter_that_failed_is_due_again_when_it_was_said(world):
    call(world, "put", letter())
    [posted] = claim(world)

    call(world, "failed", posted.id, "the server is down", 10 * MINUTE)

    world.let_pass(10 * MINUTE - 30 * SECOND)
    assert claim(world) == []
    world.let_pass(30 * SECOND)
    [again] = claim(world)
    assert (again.id, again.attempt) == (posted.id, 2)


def test_letter_that_was_given_up_is_kept_for_the_operator(world):
    call(world, "put", letter(0))
    call(world, "put", letter(1))
    given_up = claim(world, 1)[0]

    call(world, "failed", given_up.id, "there is no such mailbox", None)
    world.let_pass(timedelta(days=365))

    assert letters(claim(world)) == [letter(1)]
    assert call(world, "counts") == OutboxCounts(waiting=1, failed=1)


def test_failing_after_the_letter_was_withdrawn_brings_it_not_back(world):
    ada = world.new_user()
    call(world, "put", letter(0, ada))
    [posted] = claim(world)
    call(world, "withdraw", ada, posted.letter.kind)

    call(world, "failed", posted.id, "the server is down", SECOND)

    world.let_pass(MINUTE)
    assert claim(world) == []


def test_letters_of_some_kinds_are_withdrawn_from_one_user(world):
    ada, bea = world.new_user(), world.new_user()
    change, reset, notice = (
        LetterKind.CHANGE_EMAIL,
        LetterKind.RESET_PASSWORD,
        LetterKind.PASSWORD_CHANGED,
    )
    kept = [letter(0, ada, notice), letter(1, bea, change), letter(2, None, change)]
    for one in [letter(3, ada, change), letter(4, ada, reset), *kept]:
        call(world, "put", one)
        world.let_pass(SECOND)

    call(world, "withdraw", ada, change, reset)

    assert letters(claim(world)) == kept


def test_letters_are_counted(world):
    assert call(world, "counts") == OutboxCounts(waiting=0, failed=0)

    for number in range(3):
        call(world, "put", letter(number))
    first, second = claim(world, 2)
    call(world, "failed", first.id, "no", None)
    call(world, "failed", second.id, "no", MINUTE)

    assert call(world, "counts") == OutboxCounts(waiting=2, failed=1)


def test_letters_that_were_given_up_are_purged_in_batches_when_they_are_old(world):
    for number in range(4):
        call(world, "put", letter(number))
    for posted in claim(world)[1:]:
        call(world, "failed", posted.id, "no such mailbox", None)
    assert call(world, "purge", DAY, 2) == 0
    world.let_pass(2 * DAY)
    call(world, "put", letter(4))
    [*_, new] = claim(world)
    call(world, "failed", new.id, "no such mailbox", None)

    assert [call(world, "purge", DAY, 2) for _ in range(3)] == [2, 1, 0]
    assert call(world, "counts") == OutboxCounts(waiting=1, failed=1)


# With transactions.


def test_letter_leaves_only_if_the_transaction_commits(sql):
    with sql.request(commit=False) as outbox:
        outbox.put(letter(0))

    with sql.request() as outbox:
        outbox.put(letter(1))
        assert claim(sql) == []

    assert letters(claim(sql)) == [letter(1)]


def test_letter_is_withdrawn_only_if_the_transaction_commits(sql):
    ada = sql.new_user()
    call(sql, "put", letter(0, ada))

    with sql.request(commit=False) as outbox:
        outbox.withdraw(ada, LetterKind.PASSWORD_CHANGED)

    assert letters(claim(sql)) == [letter(0, ada)]


def test_what_became_of_letters_is_committed_at_once(sql):
    for number in range(4):
        call(sql, "put", letter(number))

    with sql.request(commit=False) as outbox:
        one, two, *_ = outbox.claim(3, LEASE)
        outbox.sent(one.id)
        outbox.failed(two.id, "no", None)

    assert call(sql, "counts") == OutboxCounts(waiting=2, failed=1)
    assert len(claim(sql)) == 1


def test_workers_side_by_side_claim_each_letter_once(sql):
    for number in range(100):
        call(sql, "put", letter(number))
    meeting = threading.Barrier(5, timeout=10)

    def work(_number: int) -> list[UUID]:
        outbox = SqlOutbox(OwnConnections(sql.engine))
        claimed: list[UUID] = []
        meeting.wait()
        while batch := outbox.claim(3, LEASE):
            claimed += [posted.id for posted in batch]
        return claimed

    with ThreadPoolExecutor(5) as threads:
        claimed = list(threads.map(work, range(5)))

    found = [letter_id for batch in claimed for letter_id in batch]
    assert len(found) == len(set(found)) == 100


def test_of_workers_that_come_when_a_lease_is_over_one_has_the_letter(sql):
    call(sql, "put", letter())
    claim(sql)
    sql.let_pass(LEASE)
    meeting = threading.Barrier(5, timeout=10)

    def work(_number: int) -> int:
        outbox = SqlOutbox(OwnConnections(sql.engine))
        meeting.wait()
        return len(outbox.claim(3, LEASE))

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(work, range(5))) == 1


def test_worker_waits_for_no_letter_that_another_is_at(sql):
    call(sql, "put", letter(0))
    sql.let_pass(SECOND)
    call(sql, "put", letter(1))

    with sql.engine.begin() as other:
        other.execute(text("SELECT 1 FROM outbox WHERE recipient LIKE 'ada0%' FOR UPDATE"))
        assert letters(claim(sql)) == [letter(1)]


def test_letters_about_a_user_go_with_the_user(sql):
    ada = sql.new_user()
    goodbye = letter(1, None, LetterKind.ACCOUNT_DELETED)
    call(sql, "put", letter(0, ada))
    call(sql, "put", goodbye)

    sql.db.execute(text("DELETE FROM users"))

    assert letters(claim(sql)) == [goodbye]


def test_letter_about_a_user_who_is_gone_is_not_kept(sql):
    call(sql, "put", letter(0, uuid4()))

    assert claim(sql) == []


def test_nor_is_one_about_a_user_who_is_deleted_at_this_very_moment(sql):
    ada = sql.new_user()

    with sql.engine.connect() as deleting, ThreadPoolExecutor(1) as thread:
        deleting.execute(text("DELETE FROM users"))
        putting = thread.submit(call, sql, "put", letter(0, ada))
        wait_until_blocked(sql.db)
        deleting.commit()
        putting.result(timeout=10)

    assert claim(sql) == []
