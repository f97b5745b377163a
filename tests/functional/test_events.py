"""Security events: each told once, with the transaction or, where a failure is the news, without
it; to the table, the log, the owner's mail and the application's subscribers."""

import json
import logging
from contextlib import suppress
from typing import Any

import pytest
import webtest
from pyramid.interfaces import IRequest
from sqlalchemy import text

from authapp.domain.errors import InvalidCredentials
from authapp.domain.events import (
    AccountEvent,
    PasswordChanged,
    SessionsRevoked,
    SignedIn,
    SignedOut,
    SignInFailed,
    UserSignedUp,
)
from authapp.repositories import ENGINE
from authapp.views.signing_in import signed_in, visitor_of
from tests.conftest import make_app
from tests.functional import lab
from tests.functional.conftest import HOST
from tests.functional.lab import Note
from tests.functional.support import (
    EMAIL,
    NAME,
    PASSWORD,
    another,
    cookies_set,
    count,
    csrf_token,
    fill_in,
    greeting,
    sign_in,
    sign_out,
    sign_up,
)

LOG = "authapp.security.events"
WRONG = "this is not the password"
NEW = "quite another password"
NOTIFY = "/account/activity/notify"

heard: list[Any] = []
reactions: list[Any] = []


def includeme(config):
    """An application that wants to know."""
    config.include(lab)
    config.add_subscriber(heard.append, AccountEvent)
    config.add_subscriber(welcome, UserSignedUp)
    config.add_subscriber(react, SignedIn)


def welcome(event: Any) -> None:
    """What docs/events.md shows."""
    event.request.dbsession.add(Note(text=f"Welcome, {event.user.name}!"))


def react(event: Any) -> None:
    for reaction in reactions:
        reaction(event)


@pytest.fixture(scope="module")
def listening_wsgi_app(migrated_url, lab_tables):
    wsgi_app = make_app(migrated_url, pyramid__includes=__name__)
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


@pytest.fixture
def app(listening_wsgi_app, db):
    db.execute(text("DELETE FROM lab_notes"))
    heard.clear()
    reactions.clear()
    return webtest.TestApp(listening_wsgi_app, extra_environ=HOST)


@pytest.fixture
def ada(app, caplog):
    """Somebody who is signed in, after all that there was to tell of that."""
    sign_up(app)
    heard.clear()
    caplog.clear()
    caplog.set_level(logging.INFO, LOG)
    return app


def recorded(db):
    """Of the table, but for the sign-ups."""
    statement = text("SELECT kind FROM security_events WHERE kind != 'signed_up' ORDER BY id")
    return db.execute(statement).scalars().all()


def logged(caplog):
    """The lines of the log: each a name of the OWASP vocabulary, and JSON."""
    lines = [record for record in caplog.records if record.name == LOG]
    return [(r.levelname, *r.getMessage().partition(" ")[::2]) for r in lines]


def told(db, caplog):
    """What was told, which is the same in all places."""
    kinds = recorded(db)
    assert [event.kind for event in heard] == kinds
    assert [json.loads(line)["event"] for _, _, line in logged(caplog)] == kinds
    return kinds


def post(app, path, **fields):
    return app.post_json(path, fields, status="*")


# Each is told of once.


def test_signing_up(app, db, caplog):
    caplog.set_level(logging.INFO, LOG)

    sign_up(app)

    assert [event.kind for event in heard] == ["signed_up"]
    assert [name for _, name, _ in logged(caplog)] == ["user_created"]
    kinds = db.execute(text("SELECT kind FROM security_events")).scalars().all()
    assert kinds == ["signed_up"]


ACTS = {
    "signed_in": lambda app, others: sign_in(others[0]),
    "sign_in_failed": lambda app, others: sign_in(others[0], password=WRONG),
    "signed_out": lambda app, others: sign_out(app),
    "profile_changed": lambda app, others: post(app, "/account/profile", name="Countess"),
    "wrong_password": lambda app, others: post(app, "/account/delete", current_password=WRONG),
    "identity_confirmed": lambda app, others: post(
        app, "/account/confirm", current_password=PASSWORD
    ),
    "password_changed": lambda app, others: post(
        app, "/account/password", current_password=PASSWORD, new_password=NEW
    ),
    "notifications_changed": lambda app, others: post(
        app, "/account/activity/notify", notify=False
    ),
    "deleted": lambda app, others: post(app, "/account/delete", current_password=PASSWORD),
}


@pytest.mark.parametrize("kind", ACTS)
def test_each_is_told_of_once(ada, db, caplog, kind):
    answer = ACTS[kind](ada, [another(ada)])

    assert answer.status_int < 500
    assert told(db, caplog) == [kind]


def test_failure_at_no_account_is_told_of_too(ada, db, caplog):
    sign_in(another(ada), email="nobody@example.com")

    assert told(db, caplog) == ["sign_in_failed"]
    assert heard[0].user is None
    row = db.execute(text("SELECT * FROM security_events ORDER BY id DESC LIMIT 1")).one()
    assert (row.user_id, row.details) == (None, {"second_factor": False})


def test_flood_is_told_of_once(ada, db, caplog):
    for _ in range(15):
        post(another(ada), "/sign-in", email=EMAIL, password=WRONG)

    assert told(db, caplog) == ["sign_in_failed"] * 10 + ["throttled"]
    assert heard[-1].details == {"action": "sign_in"}
    assert heard[-1].user.email == EMAIL


def sessions(app):
    listing = app.get("/account/sessions", headers={"Accept": "application/json"}).json["sessions"]
    return {session["current"]: session["id"] for session in listing}


def test_ending_another_session_is_told_of(ada, db, caplog):
    sign_in(another(ada))
    heard.clear()
    caplog.clear()

    post(ada, f"/account/sessions/{sessions(ada)[False]}/revoke")

    assert recorded(db) == ["signed_in", "sessions_revoked"]
    assert [type(event) for event in heard] == [SessionsRevoked]
    assert heard[0].details == {"count": 1, "asked_for": True}


def test_ending_one_s_own_session_is_signing_out(ada, db, caplog):
    post(ada, f"/account/sessions/{sessions(ada)[True]}/revoke")

    assert told(db, caplog) == ["signed_out"]


def test_ending_all_others_is_told_of_if_there_were_any(ada, db, caplog):
    post(ada, "/account/sessions/revoke-others")
    assert told(db, caplog) == []
    for _ in range(2):
        sign_in(another(ada))

    post(ada, "/account/sessions/revoke-others")

    assert told(db, caplog) == ["signed_in", "signed_in", "sessions_revoked"]
    assert heard[-1].details == {"count": 2, "asked_for": True}


def test_change_of_the_password_tells_of_the_sessions_that_it_ended(ada, db, caplog):
    sign_in(another(ada))

    post(ada, "/account/password", current_password=PASSWORD, new_password=NEW)

    assert told(db, caplog) == ["signed_in", "password_changed", "sessions_revoked"]
    assert heard[-1].details == {"count": 1, "asked_for": False}


def test_what_is_refused_or_does_nothing_is_no_event(ada, db, caplog):
    post(ada, "/account/profile", name="")
    post(ada, "/account/password", current_password=PASSWORD, new_password="short")
    post(ada, f"/account/sessions/{'0' * 8}-0000-4000-8000-{'0' * 12}/revoke")
    ada.post("/account/delete", {"current_password": PASSWORD}, status=400)
    post(another(ada), "/sign-up", name=NAME, email=EMAIL, password=PASSWORD)
    post(another(ada), "/sign-out")
    post(another(ada), "/sign-in", email="", password=PASSWORD)

    assert told(db, caplog) == []


# What they say.


def test_row_and_line_say_who_when_and_from_where(ada, db, caplog):
    agent = "Agent\x1b[31m\r\n2026 forged line"
    browser = another(ada, REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT=agent)

    sign_in(browser)

    row = db.execute(text("SELECT * FROM security_events ORDER BY id DESC LIMIT 1")).one()
    user = db.execute(text("SELECT id FROM users")).scalar_one()
    details = {"new_device": True, "second_factor": False}
    printable = "Agent[31m2026 forged line"
    assert (row.kind, row.user_id, row.by_id) == ("signed_in", user, None)
    assert (row.address, row.user_agent, row.details) == ("192.0.2.7", printable, details)
    assert db.execute(text("SELECT now() - :t < '5 s'"), {"t": row.created_at}).scalar_one()
    [(level, name, line)] = logged(caplog)
    assert (level, name) == ("INFO", "authn_login_success")
    assert json.loads(line) == {
        "event": "signed_in",
        "user": str(user),
        "by": None,
        "address": "192.0.2.7",
        "user_agent": printable,
        **details,
    }


def test_failures_are_warnings(ada, db, caplog):
    sign_in(another(ada), password=WRONG)

    [(level, name, _)] = logged(caplog)
    assert (level, name) == ("WARNING", "authn_login_fail")


def test_neither_rows_nor_lines_hold_what_was_typed(ada, db, caplog):
    sign_in(another(ada), password=WRONG)
    sign_in(another(ada), email=WRONG)
    post(ada, "/account/delete", current_password=WRONG)
    post(ada, "/account/password", current_password=PASSWORD, new_password=NEW)

    rows = " ".join(db.execute(text("SELECT e::text FROM security_events e")).scalars())
    for secret in (WRONG, PASSWORD, NEW, ada.cookies["session"], ada.cookies["device"]):
        assert secret not in rows
        assert secret not in caplog.text


# With the transaction, or without it.


def nothing_new(db, caplog):
    return recorded(db) == [] and logged(caplog) == [] and letters(db) == []


def letters(db):
    kinds = db.execute(text("SELECT kind FROM outbox WHERE kind != 'verify_email'"))
    return kinds.scalars().all()


@pytest.mark.parametrize("how", ["fails", "fails at commit", "doomed"])
def test_what_is_rolled_back_has_not_happened(ada, db, caplog, view, how):
    def act(request: IRequest) -> dict[str, Any]:
        user = request.services.passwords.authenticate(EMAIL, PASSWORD, visitor_of(request)).user
        signed_in(request, user)
        request.services.accounts.rename(user.id, "Countess")
        if how == "fails":
            raise RuntimeError("after all that")
        if how == "fails at commit":
            request.dbsession.add_all([Note(text="same"), Note(text="same")])
        else:
            request.tm.doom()
        return {}

    browser = another(ada)
    answer = browser.get(view(act), status="*")

    assert nothing_new(db, caplog)
    assert cookies_set(answer) == []
    assert greeting(ada) == NAME


def test_failure_outlives_a_rollback(ada, db, caplog, view):
    def act(request):
        with suppress(InvalidCredentials):
            request.services.passwords.authenticate(EMAIL, WRONG, visitor_of(request))
        raise RuntimeError("after the failure")

    another(ada).get(view(act), status=500)

    assert told(db, caplog) == ["sign_in_failed"]


def test_a_letter_goes_out_with_the_event(ada, db):
    post(ada, "/account/password", current_password=WRONG, new_password=NEW)
    assert letters(db) == []

    post(ada, "/account/password", current_password=PASSWORD, new_password=NEW)

    assert letters(db) == ["password_changed"]


# Subscribers.


def test_subscriber_gets_the_request_and_the_user(ada):
    seen = []
    reactions.append(lambda event: seen.append((event.request.path, event.user.email)))

    browser = another(ada)
    sign_in(browser)

    assert seen == [("/sign-in", EMAIL)]
    assert [type(event) for event in heard] == [SignedIn]


def test_subscriber_s_own_rows_are_committed_with_the_rest(app, db):
    sign_up(app)

    assert db.execute(text("SELECT text FROM lab_notes")).scalars().all() == [f"Welcome, {NAME}!"]


def test_subscriber_s_own_rows_are_rolled_back_with_the_rest(app, db, view):
    def act(request):
        request.services.accounts.sign_up(NAME, EMAIL, PASSWORD, visitor_of(request))
        raise RuntimeError("after the sign-up")

    app.get(view(act), status=500)

    assert [type(event) for event in heard] == [UserSignedUp]
    assert count(db, "lab_notes") == count(db, "users") == 0


def test_subscriber_that_raises_undoes_it_all(ada, db, caplog):
    def refuse(event):
        event.request.dbsession.add(Note(text="never"))
        raise RuntimeError("not today")

    reactions.append(refuse)
    browser = another(ada)
    page = browser.get("/sign-in")
    answer = fill_in(page, "/sign-in", email=EMAIL, password=PASSWORD)

    assert answer.status_int == 500
    assert cookies_set(answer) == []
    assert nothing_new(db, caplog)
    assert greeting(browser) is None
    assert count(db, "sessions") == 1
    assert db.execute(text("SELECT text FROM lab_notes WHERE text = 'never'")).all() == []


def test_subscriber_may_write_to_the_session(ada):
    reactions.append(lambda event: event.request.session.flash("Welcome back!", "success"))

    browser = another(ada)

    assert "Welcome back!" in sign_in(browser).follow()


def test_classes_are_told_apart(ada):
    sign_out(ada)
    sign_in(ada)
    sign_in(another(ada), password=WRONG)
    post(ada, "/account/password", current_password=PASSWORD, new_password=NEW)

    expected = [SignedOut, SignedIn, SignInFailed, PasswordChanged]
    assert [type(event) for event in heard] == expected
    assert csrf_token(ada.get("/account"))
