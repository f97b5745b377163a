"""One session, many requests at once, over connections that are really parallel."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import webtest
from sqlalchemy import Connection, event, text

from authapp.repositories import ENGINE
from authapp.security.recent import CONFIRMED_AT
from tests.conftest import make_app
from tests.functional import lab
from tests.functional.support import (
    NAME,
    cookies_set,
    count,
    greeting,
    is_cleared,
    session_cookie,
    sign_up,
    the_session,
)

HOST = {"HTTP_HOST": "localhost:6543"}
PARALLEL = 30


@pytest.fixture(scope="module")
def roomy_wsgi_app(migrated_url: str) -> Iterator[Any]:
    """An application with a connection for each of the requests at once."""
    wsgi_app = make_app(
        migrated_url, pyramid__includes=lab.INCLUDE, sqlalchemy__pool_size=str(PARALLEL + 5)
    )
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


@pytest.fixture
def app(roomy_wsgi_app: Any, db: Connection) -> webtest.TestApp:
    return webtest.TestApp(roomy_wsgi_app, extra_environ=HOST)


@pytest.fixture
def view() -> Iterator[Callable[[lab.View], str]]:
    def add(function: lab.View) -> str:
        lab.VIEWS[function.__name__] = function
        return f"/lab/{function.__name__}"

    yield add
    lab.VIEWS.clear()


def at_once(app: webtest.TestApp, addresses: list[str]) -> list[webtest.TestResponse]:
    """Requests from one browser, all at the same time, each with the cookies it has now."""
    header = "; ".join(f"{name}={value}" for name, value in app.cookies.items())

    def get(address: str) -> webtest.TestResponse:
        tab = webtest.TestApp(app.app, extra_environ=HOST)
        return tab.get(address, headers={"Cookie": header} if header else {}, status="*")

    with ThreadPoolExecutor(len(addresses)) as pool:
        return list(pool.map(get, addresses))


class Meeting:
    """Lets requests go on only when all of them have got so far, each in its first attempt."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties, timeout=20)
        self.attempts = 0
        self._lock = threading.Lock()

    def wait(self, request: Any) -> None:
        with self._lock:
            self.attempts += 1
        if request.environ["retry.attempt"] == 0:
            self._barrier.wait()


def content(db: Connection) -> Any:
    """What the views have written, besides what the sign-in has."""
    data = the_session(db).data
    return {key: value for key, value in data.items() if key != CONFIRMED_AT}


def test_increments_of_one_counter_are_all_counted(app, db, view):
    sign_up(app)
    meeting = Meeting(PARALLEL)

    def increment(request):
        number = request.session.get("number", 0)
        meeting.wait(request)
        request.session["number"] = number + 1
        return {}

    answers = at_once(app, [view(increment)] * PARALLEL)

    assert [a.status_int for a in answers] == [200] * PARALLEL
    assert content(db) == {"number": PARALLEL}
    # The retry holds the row's lock from the moment it reads, so nobody loses twice.
    assert meeting.attempts == 2 * PARALLEL - 1


def test_different_keys_are_all_kept_at_the_first_attempt(app, db, view):
    sign_up(app)
    meeting = Meeting(PARALLEL)

    def put(request):
        assert set(request.session) == {CONFIRMED_AT}
        meeting.wait(request)
        request.session[request.params["key"]] = "kept"
        return {}

    address = view(put)
    answers = at_once(app, [f"{address}?key=key{number}" for number in range(PARALLEL)])

    assert [a.status_int for a in answers] == [200] * PARALLEL
    assert content(db) == {f"key{number}": "kept" for number in range(PARALLEL)}
    assert meeting.attempts == PARALLEL


def test_flashes_are_all_shown(app, db, view):
    sign_up(app)
    meeting = Meeting(PARALLEL)

    def flash(request):
        request.session.peek_flash("success")
        meeting.wait(request)
        request.session.flash(f"message {request.params['number']}", "success")
        return {}

    address = view(flash)
    answers = at_once(app, [f"{address}?number={number}" for number in range(PARALLEL)])

    assert [a.status_int for a in answers] == [200] * PARALLEL
    page = app.get("/account")
    shown = {m.get_text() for m in page.html.find_all(attrs={"role": "status"})}
    assert shown == {f"message {number}" for number in range(PARALLEL)}


def test_requests_that_only_read_never_wait_for_one_that_writes(app, db, view):
    sign_up(app)
    written, done = threading.Event(), threading.Event()

    def slow(request):
        request.session["key"] = "new"
        # Takes the row's lock, as the commit will.
        request.dbsession.execute(text("SELECT 1 FROM sessions FOR UPDATE"))
        written.set()
        assert done.wait(20)
        return {}

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(at_once, app, [view(slow)])
        assert written.wait(20)
        pages = at_once(app, ["/account"] * 5)
        done.set()
        [answer] = writing.result(timeout=20)

    assert [p.status_int for p in pages] == [200] * 5
    assert answer.status_int == 200
    assert content(db) == {"key": "new"}


@pytest.mark.parametrize("end", ["sign-out", "revoke", "user deleted", "expired"])
def test_session_that_ends_while_a_slow_request_writes_stays_ended(app, db, view, end):
    sign_up(app)
    loaded, ended = threading.Event(), threading.Event()

    def slow(request):
        request.session["key"] = "late"
        loaded.set()
        assert ended.wait(20)
        return {"done": True}

    with ThreadPoolExecutor(1) as pool:
        slow_tab = pool.submit(at_once, app, [view(slow)])
        assert loaded.wait(20)
        if end == "sign-out":
            app.post_json("/sign-out", {}, status=204)
        elif end == "revoke":
            db.execute(text("DELETE FROM sessions"))
        elif end == "user deleted":
            db.execute(text("DELETE FROM users"))
        else:
            db.execute(text("UPDATE sessions SET expires_at = now() - interval '1 second'"))
        ended.set()
        [answer] = slow_tab.result(timeout=20)

    assert answer.status_int == 200
    assert answer.json == {"done": True}
    assert is_cleared(session_cookie(answer))
    assert count(db, "sessions") == (1 if end == "expired" else 0)
    assert greeting(app) is None


def test_two_sign_outs_at_once_are_both_answered(app, db, view):
    sign_up(app)
    meeting = Meeting(2)

    def leave(request):
        assert request.session.user_id
        meeting.wait(request)
        request.session.invalidate()
        return {}

    answers = at_once(app, [view(leave)] * 2)

    assert [a.status_int for a in answers] == [200, 200]
    assert all(is_cleared(session_cookie(a)) for a in answers)
    assert count(db, "sessions") == 0


@pytest.mark.parametrize("users", ["the same user", "two users"])
def test_two_sign_ins_at_once_on_one_visitors_session_both_stand(app, db, view, users):
    ids = []
    for email in ("ada@example.com", "bob@example.com"):
        sign_up(webtest.TestApp(app.app, extra_environ=HOST), email=email)
        found = text("SELECT id FROM users WHERE email = :email")
        ids.append(db.execute(found, {"email": email}).scalar_one())
    db.execute(text("DELETE FROM sessions"))
    app.get(view(lambda request: request.session.update(cart=["book"]) or {}))
    visitors = the_session(db)
    chosen = [ids[0], ids[0] if users == "the same user" else ids[1]]
    meeting = Meeting(2)

    def enter(request):
        assert request.session["cart"] == ["book"]
        meeting.wait(request)
        request.session.sign_in(chosen[int(request.params["number"])])
        return {}

    address = view(enter)
    answers = at_once(app, [f"{address}?number=0", f"{address}?number=1"])

    assert [a.status_int for a in answers] == [200, 200]
    rows = db.execute(text("SELECT * FROM sessions")).all()
    assert len(rows) == 2
    assert sorted(r.user_id for r in rows) == sorted(chosen)
    # What the visitor had goes to one of them, not to both and not to nobody.
    assert [r.data for r in rows if r.id == visitors.id] == [{"cart": ["book"]}]
    assert [r.data for r in rows if r.id != visitors.id] == [{}]
    tokens = [session_cookie(a).value for a in answers]
    assert len(set(tokens)) == 2
    for token in tokens:
        browser = webtest.TestApp(app.app, extra_environ=HOST)
        browser.set_cookie("session", token)
        assert greeting(browser) == NAME


def test_sign_in_and_sign_out_at_once_leave_one_session_or_none(app, db, view):
    sign_up(app)
    user_id = the_session(db).user_id
    meeting = Meeting(2)

    def enter(request):
        assert request.session.user_id
        meeting.wait(request)
        request.session.sign_in(user_id)
        return {}

    def leave(request):
        assert request.session.user_id
        meeting.wait(request)
        request.session.invalidate()
        return {}

    answers = at_once(app, [view(enter), view(leave)])

    assert [a.status_int for a in answers] == [200, 200]
    entered = session_cookie(answers[0])
    live = count(db, "sessions")
    assert live in {0, 1}
    # What the browser was told is what is there.
    browser = webtest.TestApp(app.app, extra_environ=HOST)
    browser.set_cookie("session", entered.value or "none")
    assert (greeting(browser) == NAME) is (live == 1)


# Visitors.


def test_visitor_with_several_tabs_keeps_what_each_has_put_there(app, db, view):
    app.get("/sign-in")  # Gives a visitor's cookie, behind which there is no row.
    meeting = Meeting(2)

    def put(request):
        meeting.wait(request)
        request.session[request.params["key"]] = "kept"
        return {}

    address = view(put)
    answers = at_once(app, [f"{address}?key=a", f"{address}?key=b"])

    assert [a.status_int for a in answers] == [200, 200]
    kept = [r.data for r in db.execute(text("SELECT data FROM sessions")).all()]
    assert {key for data in kept for key in data} == {"a", "b"}


def test_visitors_tab_that_is_a_little_late_is_no_error(app, db, view):
    app.get("/sign-in")
    before = dict(app.cookies)

    def put(request):
        request.session[request.params["key"]] = "kept"
        return {}

    address = view(put)
    app.get(f"{address}?key=a", status=200)
    late = webtest.TestApp(app.app, extra_environ=HOST)
    late.set_cookie("session", before["session"])

    answer = late.get(f"{address}?key=b", status="*")

    assert answer.status_int == 200
    assert len(cookies_set(answer)) <= 1
    kept = [r.data for r in db.execute(text("SELECT data FROM sessions")).all()]
    assert {key for data in kept for key in data} == {"a", "b"}


# Use is written down once.


def test_many_requests_write_down_the_use_of_a_session_once(app, db):
    sign_up(app)
    db.execute(text("UPDATE sessions SET last_seen_at = now() - interval '1 hour'"))
    engine = app.app.registry[ENGINE]
    updated = []

    def note(_connection, cursor, statement, *_others):
        if statement.startswith("UPDATE"):
            updated.append(cursor.rowcount)

    event.listen(engine, "after_cursor_execute", note)
    try:
        answers = at_once(app, ["/account"] * 20)
        assert sum(updated) == 1
        at_once(app, ["/account"] * 5)
        assert sum(updated) == 1
    finally:
        event.remove(engine, "after_cursor_execute", note)

    assert [a.status_int for a in answers] == [200] * 20
    used = text("SELECT now() - last_seen_at < interval '1 minute' FROM sessions")
    assert db.execute(used).scalar_one()
