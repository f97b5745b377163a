"""What a request costs the database, counted twice: in SQLAlchemy, and on the wire."""

import re
from functools import partial

import pytest
import webtest
from sqlalchemy import text

from authapp.repositories import ENGINE
from authapp.sessions.cookie import Ticket, TicketSigner
from tests.conftest import make_app
from tests.functional.second_factor import turn_on
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

    for path in [*STATIC, "/healthz"]:
        assert counted(lambda path=path: wired_app.get(path, status="*")) == ([], []), path


@pytest.mark.parametrize("path", ["/nowhere", "/sign-out"])
def test_error_page_for_somebody_asks_for_their_language_alone(wired_app, counted, path):
    sign_up(wired_app)

    statements, wired = counted(lambda: wired_app.get(path, status="*"))

    assert len(statements) == len(wired) == 1


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


@pytest.mark.parametrize(("path", "selects"), [("/", 1), ("/account", 1), ("/account/activity", 2)])
@pytest.mark.parametrize("headers", [{}, JSON], ids=["html", "json"])
def test_second_factor_makes_no_page_cost_more(wired_app, counted, path, selects, headers):
    sign_up(wired_app)
    before = counted(lambda: wired_app.get(path, headers=headers, status=200))
    turn_on(wired_app)

    statements, wired = counted(lambda: wired_app.get(path, headers=headers, status=200))

    assert wired == before[1] == ["SELECT"] * selects
    assert len(statements) == selects


@pytest.mark.parametrize("has_second_factor", [False, True])
def test_page_changes_nothing_in_the_database(wired_app, db, has_second_factor):
    sign_up(wired_app)
    if has_second_factor:
        turn_on(wired_app)
    before = versions(db)

    for _ in range(10):
        for path in ("/", "/account", "/account/activity", "/account/two-factor"):
            wired_app.get(path, status=200)

    assert versions(db) == before


def versions(db):
    """Where each row of the accounts is, and which transaction has written it."""
    tables = [
        *("users", "sessions", "tokens", "throttles", "security_events", "outbox"),
        *("second_factors", "recovery_codes"),
    ]
    rows = (db.execute(text(f"SELECT xmin, ctid FROM {t} ORDER BY ctid")).all() for t in tables)  # noqa: S608
    return dict(zip(tables, rows, strict=True))


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


GIVEN = {"email": EMAIL, "password": PASSWORD}
# By the address that it comes from, and for the account that it is at.
TWO_ATTEMPTS = ["INSERT INTO throttles", "INSERT INTO throttles"]


def test_signing_in_is_one_transaction_after_the_attempt_was_counted_and_forgotten(wired_app, wire):
    sign_up(wired_app)
    browser = another(wired_app)

    with wire.counted() as wired:
        browser.post_json("/sign-in", GIVEN, status=200)

    assert beginnings(wired) == [
        "SELECT",
        *TWO_ATTEMPTS,
        "DELETE FROM throttles",
        "UPDATE throttles",
        "BEGIN",
        "SELECT",  # The account is held as it is.
        "SELECT",  # What time it is, so that what matters can ask for a recent sign-in.
        "INSERT INTO security_events",
        "INSERT INTO outbox",
        "INSERT INTO sessions",
        "COMMIT",
    ]


def test_signing_in_with_a_browser_that_is_known_counts_one_attempt_and_sends_no_letter(
    wired_app, wire
):
    sign_up(wired_app)
    wired_app.post_json("/sign-in", GIVEN, status=200)
    wired_app.post_json("/sign-out", {}, status=204)

    with wire.counted() as wired:
        wired_app.post_json("/sign-in", GIVEN, status=200)

    assert beginnings(wired) == [
        "SELECT",
        "INSERT INTO throttles",
        "DELETE FROM throttles",
        "BEGIN",
        "SELECT",
        "SELECT",
        "INSERT INTO security_events",
        "INSERT INTO sessions",
        "COMMIT",
    ]


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"], ids=["known", "unknown"])
def test_failed_sign_in_holds_nothing_and_costs_the_same_whoever_it_is(wired_app, wire, email):
    sign_up(wired_app)
    browser = another(wired_app)

    with wire.counted() as wired:
        given = {"email": email, "password": "wrong password"}
        browser.post_json("/sign-in", given, status=401)

    assert beginnings(wired) == ["SELECT", *TWO_ATTEMPTS, "INSERT INTO security_events"]


def test_sign_in_that_is_throttled_is_counted_and_no_more(wired_app, wire):
    sign_up(wired_app)
    browser = another(wired_app)
    for _ in range(11):
        browser.post_json("/sign-in", {**GIVEN, "password": "wrong password"}, status="*")

    with wire.counted() as wired:
        browser.post_json("/sign-in", GIVEN, status=429)

    assert beginnings(wired) == ["SELECT", *TWO_ATTEMPTS]


def test_signing_out_is_one_delete_and_one_for_the_event(wired_app, wire):
    sign_up(wired_app)

    with wire.counted() as wired:
        wired_app.post_json("/sign-out", {}, status=204)

    assert beginnings(wired) == [
        "SELECT",
        "BEGIN",
        "INSERT INTO security_events",
        "DELETE FROM sessions",
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
