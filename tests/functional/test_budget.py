"""What a request costs the database, counted twice: in SQLAlchemy, and on the wire."""

import re
from functools import partial

import pytest
import webtest
from sqlalchemy import text

from authapp.repositories import ENGINE
from authapp.sessions.cookie import Ticket, TicketSigner
from tests.conftest import make_app
from tests.functional.support import (
    EMAIL,
    JSON,
    PASSWORD,
    another,
    call,
    count,
    session_cookie,
    sign_in,
    sign_out,
    sign_up,
    signed,
    statements_on,
    ticket_in,
    unchecked,
    with_cookie,
)

PAGES = [
    "/",
    "/sign-in",
    "/sign-up",
    "/account",
    "/account/sessions",
    "/nowhere",
    "/sign-out",
    "/healthz",
]
STATIC = ["/static/authapp/site.css", "/static/authapp/site.js", "/static/authapp/nothing"]


@pytest.fixture
def counted(wired_app, wire):
    """Gives the statements, as SQLAlchemy and as the server sees them, of what `act` does."""
    # The first connection of all asks the server what it is.
    wired_app.get("/readyz", status=200)

    def run(act):
        with statements_on(wired_app.app.registry[ENGINE]) as statements, wire.counted() as wired:
            act()
        return statements, [message.split()[0] for message in wired]

    return run


@pytest.mark.parametrize("path", [*PAGES, *STATIC])
def test_visitor_costs_nothing(wired_app, counted, path):
    for _ in range(2):  # Without a cookie, and with one, if there is one.
        assert counted(lambda: wired_app.get(path, status="*")) == ([], [])
        assert counted(lambda: wired_app.get(path, headers=JSON, status="*")) == ([], [])


def test_forged_and_garbled_cookies_cost_nothing(wired_app, counted):
    sign_up(wired_app)
    token = ticket_in(wired_app.cookies["session"]).token
    forged = TicketSigner(["somebody else's secret, long enough"]).dumps(Ticket(token, stored=True))
    whole = wired_app.cookies["session"]
    browser = unchecked(another(wired_app))

    for value in (forged, whole[:-1], whole[:-1] + "_", whole.upper(), "x" * 5000, "\\222\xff", ""):
        for path in PAGES:
            get = partial(browser.get, path, headers=with_cookie(value), status="*")
            assert counted(get) == ([], []), value


def test_static_file_costs_nothing_with_a_session_either(wired_app, counted):
    sign_up(wired_app)

    for path in [*STATIC, "/nowhere", "/healthz", "/sign-out"]:
        assert counted(lambda path=path: wired_app.get(path, status="*")) == ([], []), path


@pytest.mark.parametrize("path", ["/", "/account", "/sign-in", "/sign-up"])
@pytest.mark.parametrize("headers", [{}, JSON], ids=["html", "json"])
def test_page_for_somebody_is_one_statement_and_one_round_trip(wired_app, counted, path, headers):
    sign_up(wired_app)

    statements, wired = counted(lambda: wired_app.get(path, headers=headers, status="*"))

    if (path, headers) in [("/sign-in", JSON), ("/sign-up", JSON)]:
        assert len(statements) <= 1
    else:
        assert len(statements) == 1
        assert statements[0].startswith("SELECT")
    # No BEGIN, no COMMIT, no ROLLBACK.
    assert wired == ["SELECT"] * len(statements)


def test_page_for_somebody_with_data_in_the_session_costs_no_more(wired_app, counted, db):
    sign_up(wired_app)
    db.execute(text("""UPDATE sessions SET data = '{"cart": ["book"], "n": 1.50, "t": "é"}'"""))

    statements, wired = counted(lambda: wired_app.get("/account", status=200))

    assert len(statements) == 1
    assert wired == ["SELECT"]


def test_page_changes_nothing_in_the_database(wired_app, db):
    sign_up(wired_app)
    where = text("SELECT pg_current_wal_insert_lsn(), xmin, ctid FROM sessions")
    before = db.execute(where).one()

    for _ in range(10):
        wired_app.get("/account", status=200)

    # Other sessions of the server may write, so its log is only compared where it stood still.
    after = db.execute(where).one()
    assert (after.xmin, after.ctid) == (before.xmin, before.ctid)


def test_signed_cookie_without_a_session_costs_one_statement(wired_app, counted):
    cookie = signed(Ticket.new(stored=True))
    browser = another(wired_app)

    statements, wired = counted(lambda: browser.get("/", headers=with_cookie(cookie)))

    assert len(statements) == 1
    assert wired == ["SELECT"]


def beginnings(wired):
    """What kind of statement, and of which table."""
    return [re.findall(r"(?:INSERT INTO|UPDATE|DELETE FROM) \w+|\w+", sent)[0] for sent in wired]


@pytest.mark.usefixtures("counted")  # Connects.
def test_signing_up_is_one_transaction_after_the_attempt_was_counted(wired_app, wire):
    fields = {"name": "Ada", "email": EMAIL, "password": PASSWORD}

    with wire.counted() as wired:
        wired_app.post_json("/sign-up", fields, status=201)

    assert beginnings(wired) == [
        "INSERT INTO throttles",
        "BEGIN",
        "INSERT INTO users",
        "INSERT INTO security_events",
        "INSERT INTO outbox",
        "SELECT",
        "INSERT INTO sessions",
        "COMMIT",
    ]


def test_changing_the_name_is_one_update_and_one_for_the_event(wired_app, wire):
    sign_up(wired_app)

    with wire.counted() as wired:
        wired_app.post_json("/account/profile", {"name": "New"})

    assert beginnings(wired) == [
        "SELECT",
        "BEGIN",
        "UPDATE users",
        "INSERT INTO security_events",
        "COMMIT",
    ]


def test_one_connection_is_enough_for_every_request(migrated_url, db):
    """Requests that each held one and wanted another could wait for each other for ever."""
    pool = {"pool_size": "1", "max_overflow": "0", "pool_timeout": "1s"}
    wsgi_app = make_app(migrated_url, **{f"sqlalchemy__{k}": v for k, v in pool.items()})
    app = webtest.TestApp(wsgi_app, extra_environ={"HTTP_HOST": "localhost:6543"})
    given, other = {"email": EMAIL, "password": PASSWORD}, "quite another password"

    app.post_json("/sign-up", {"name": "Ada", **given}, status=201)
    other_session = another(app)
    other_session.post_json("/sign-in", given, status=200)
    app.post_json("/account/sessions/revoke-others", {}, status=204)
    app.post_json("/account/profile", {"name": "Countess"}, status=200)
    change = {"current_password": "wrong password", "new_password": other}
    app.post_json("/account/password", change, status=400)
    app.post_json("/account/password", {**change, "current_password": PASSWORD}, status=204)
    app.post_json("/sign-out", {}, status=204)
    app.post_json("/sign-in", given, status=401)
    app.post_json("/sign-in", {**given, "password": other}, status=200)
    app.post_json("/account/delete", {"current_password": other}, status=204)

    wsgi_app.registry[ENGINE].dispose()


def test_thousand_visits_leave_no_row(app, db):
    returning = another(app)
    for _ in range(100):
        for path in ("/", "/sign-in", "/sign-up", "/nowhere"):
            another(app).get(path, status="*")
            returning.get(path, status="*")
        another(app).post("/sign-out", status=303)
        returning.post_json("/sign-out", {}, status=204)

    assert count(db, "sessions") == 0


def test_refused_sign_ins_and_sign_ups_leave_no_row(app, db):
    browser = another(app)

    for _ in range(10):
        sign_in(browser, password="wrong password")
        sign_up(browser, email="no address")
        browser.post("/sign-up", {}, status=400)

    assert count(db, "sessions") == 0


def test_garbled_paths_leave_no_row_and_ask_nothing(app, db):
    cookie = session_cookie(sign_up(app))
    sign_out(app)
    with statements_on(app.app.registry[ENGINE]) as statements:
        call(app, b"/\xff")

    assert cookie.value
    assert statements == []
    assert count(db, "sessions") == 0
