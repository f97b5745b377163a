"""The whole application behind PgBouncer in transaction mode.

There each transaction may get another connection to the server, and nothing that a connection
remembers between two of them can be relied on.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import webtest
from pyramid.interfaces import IRequest
from sqlalchemy import Connection, func, select, text

from authapp.domain.sessions import purge
from authapp.repositories import ENGINE
from authapp.repositories.schema import SessionRow
from authapp.settings import Settings
from authapp.wiring.sessions import session_directory
from tests.conftest import make_app
from tests.examples.pgbouncer import PgBouncer, pgbouncer
from tests.functional import lab
from tests.functional.support import (
    another,
    fill_in,
    greeting,
    sign_in,
    sign_out,
    sign_up,
    the_session,
)

CLIENTS = 30
HOST = {"HTTP_HOST": "localhost:6543"}


@pytest.fixture(scope="module", params=[1, 3], ids=["one server connection", "three"])
def pooler(migrated_url: str, request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    """With a single connection, no request may wait for a second one while it holds the first."""
    with pgbouncer(migrated_url, pool_size=request.param) as pooler:
        yield pooler


@pytest.fixture(scope="module")
def pooled_wsgi_app(pooler: PgBouncer) -> Iterator[Any]:
    app = make_app(pooler.url, pyramid__includes=lab.INCLUDE, sqlalchemy__pool_size=str(CLIENTS))
    yield app
    app.registry[ENGINE].dispose()


@pytest.fixture
def browser(pooled_wsgi_app: Any, pooler: PgBouncer, db: Connection) -> Iterator[webtest.TestApp]:
    """Whatever a test does: no transaction stays open, and PgBouncer has nothing to complain of."""
    yield webtest.TestApp(pooled_wsgi_app, extra_environ=HOST)
    assert states(db) <= {"idle"}
    assert pooler.complaints() == []


@pytest.fixture
def view() -> Iterator[Callable[[str, lab.View], str]]:
    """Gives the application a view; returns its address."""

    def add(name: str, view: lab.View) -> str:
        lab.VIEWS[name] = view
        return f"/lab/{name}"

    yield add
    lab.VIEWS.clear()


def states(db: Connection) -> set[str]:
    """What the other connections to the database are doing."""
    statement = text(
        "SELECT DISTINCT state FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    return set(db.execute(statement).scalars())


def transactions_through(pooler: PgBouncer) -> int:
    return sum(row["xact_count"] for row in pooler.show("STATS_TOTALS"))


def all_at_once(
    browser: webtest.TestApp, path: str, barrier: threading.Barrier
) -> list[webtest.TestResponse]:
    """The answers to as many clients of one session as may pass the barrier."""

    def get(number: int) -> webtest.TestResponse:
        client = another(browser)
        client.set_cookie("session", browser.cookies["session"])
        return client.get(path, {"number": number}, status="*")

    with ThreadPoolExecutor(barrier.parties) as pool:
        return list(pool.map(get, range(barrier.parties)))


def meeting_after_read(
    barrier: threading.Barrier, change: Callable[[IRequest], Any]
) -> Callable[[IRequest], Any]:
    """A view that changes the session when all of its requests have read it."""

    def run(request: IRequest) -> Any:
        dict(request.session)
        if request.environ["retry.attempt"] == 0:
            barrier.wait(timeout=30)
        return change(request)

    return run


def test_pooler_is_in_transaction_mode_and_is_used(browser: webtest.TestApp, pooler: PgBouncer):
    before = transactions_through(pooler)
    sign_up(browser)
    assert transactions_through(pooler) > before
    assert {pool["pool_mode"] for pool in pooler.show("POOLS")} == {"transaction"}


def test_application_is_ready(browser: webtest.TestApp):
    browser.get("/readyz", status=200)


def test_signing_up_in_and_out(browser: webtest.TestApp, db: Connection):
    assert sign_up(browser).status_int == 303
    assert greeting(browser) == "Ada Lovelace"

    assert sign_out(browser).status_int == 303
    assert greeting(browser) is None
    assert db.execute(select(func.count()).select_from(SessionRow)).scalar_one() == 0

    assert sign_in(browser).status_int == 303
    assert greeting(browser) == "Ada Lovelace"


def test_flash_message_is_shown_once(browser: webtest.TestApp):
    sign_up(browser)
    answer = fill_in(browser.get("/account"), "/account/profile", name="Ada Byron")
    message = "Your name has been changed."
    assert message in answer.follow()
    assert message not in browser.get("/account")


def test_parallel_increments_are_all_counted(
    browser: webtest.TestApp, db: Connection, view: Callable[[str, lab.View], str]
):
    attempts = []
    barrier = threading.Barrier(CLIENTS)

    def increment(request: IRequest) -> int:
        attempts.append(request.environ["retry.attempt"])
        request.session["n"] = request.session.get("n", 0) + 1
        number: int = request.session["n"]
        return number

    sign_up(browser)
    path = view("increment", meeting_after_read(barrier, increment))
    answers = all_at_once(browser, path, barrier)

    assert {answer.status_int for answer in answers} == {200}
    assert sorted(answer.json for answer in answers) == list(range(1, CLIENTS + 1))
    assert the_session(db).data["n"] == CLIENTS
    # All had read 0, so that all but one lost the race, and none of those lost a second one.
    assert sorted(attempts) == [0] * CLIENTS + [1] * (CLIENTS - 1)


def test_parallel_flash_messages_are_all_kept(
    browser: webtest.TestApp, view: Callable[[str, lab.View], str]
):
    barrier = threading.Barrier(CLIENTS)

    def flash(request: IRequest) -> None:
        request.session.flash(request.GET["number"])

    sign_up(browser)
    answers = all_at_once(browser, view("flash", meeting_after_read(barrier, flash)), barrier)
    assert {answer.status_int for answer in answers} == {200}

    shown = browser.get(view("shown", lambda request: request.session.pop_flash())).json
    assert sorted(map(int, shown)) == list(range(CLIENTS))


def test_purgers_share_the_work(browser: webtest.TestApp, pooled_wsgi_app: Any, db: Connection):
    db.execute(
        text(
            "INSERT INTO sessions (token_hash, expires_at) "
            "SELECT sha256(n::text::bytea), now() - interval '1 day' FROM generate_series(1, 500) n"
        )
    )
    registry = pooled_wsgi_app.registry
    directory = session_directory(registry[ENGINE], registry[Settings].session)
    start = threading.Barrier(4)

    def work(_: int) -> list[int]:
        start.wait(timeout=30)
        return list(purge(directory, batch_size=20, exclusive=True))

    with ThreadPoolExecutor(start.parties) as pool:
        batches = [batch for done in pool.map(work, range(start.parties)) for batch in done]

    # Whoever found another one at work has stopped; the last one leaves nothing.
    batches += purge(directory, batch_size=20, exclusive=True)
    assert sum(batches) == 500
    assert max(batches) == 20
    assert db.execute(select(func.count()).select_from(SessionRow)).scalar_one() == 0
    assert (
        db.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar() == 0
    )


def test_isolation_level_holds(
    pooler: PgBouncer, db: Connection, view: Callable[[str, lab.View], str]
):
    app = make_app(
        pooler.url,
        pyramid__includes=lab.INCLUDE,
        sqlalchemy__isolation_level="REPEATABLE READ",
    )
    level = text("SHOW transaction_isolation")
    path = view("level", lambda request: request.dbsession.execute(level).scalar_one())
    browser = webtest.TestApp(app, extra_environ=HOST)
    try:
        sign_up(browser)
        assert [browser.get(path).json for _ in range(3)] == ["repeatable read"] * 3
        assert greeting(browser) == "Ada Lovelace"
    finally:
        app.registry[ENGINE].dispose()
    assert pooler.complaints() == []
