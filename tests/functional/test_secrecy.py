"""What must be found nowhere: neither in the database, nor in the logs, nor in pages."""

import logging

import pytest
import webtest
from sqlalchemy import Connection, text

from authapp.repositories import ENGINE
from tests.conftest import make_app
from tests.functional import lab
from tests.functional.conftest import HOST
from tests.functional.support import (
    EMAIL,
    PASSWORD,
    another,
    cookies_set,
    csrf_token,
    is_device,
    sign_in,
    sign_out,
    sign_up,
    ticket_in,
)

WRONG = "this was typed wrongly 4711"


@pytest.fixture(scope="module")
def talkative(migrated_url, lab_tables):
    """An application that logs all it ever would, statements too."""
    wsgi_app = make_app(migrated_url, sqlalchemy__echo="true", pyramid__includes=lab.INCLUDE)
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


def everything_in(db: Connection) -> str:
    """All columns of all rows of all tables, as text."""
    tables = db.execute(
        text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    )
    rows = [
        row
        for table in tables.scalars().all()
        for row in db.execute(text(f'SELECT t::text FROM "{table}" t')).scalars()  # noqa: S608
    ]
    return "\n".join(rows)


def test_no_token_cookie_or_password_is_stored_or_logged(talkative, db, view, caplog):
    caplog.set_level(logging.DEBUG)
    app = webtest.TestApp(talkative, extra_environ=HOST)
    secrets = {PASSWORD, WRONG}

    def note(answer):
        for cookie in cookies_set(answer):
            if is_device(cookie):
                secrets.add(cookie.value)
            elif cookie.value:
                ticket = ticket_in(cookie.value)
                encoded, _, signature = cookie.value[1:].partition(".")
                secrets.update([cookie.value, encoded, signature, ticket.token.hex()])
                secrets.update([ticket.csrf_token, str(ticket.token)])
        return answer

    def boom(request):
        password = request.POST["password"]
        request.session["cart"] = ["book"]
        raise RuntimeError(f"broken, though not by a password of {len(password)}")

    def keep(request):
        request.session["cart"] = ["book"]
        return {}

    note(app.get("/sign-in"))
    note(app.get(view(keep)))
    note(sign_up(app, email="not an address"))
    note(sign_up(app))
    note(app.get("/account"))
    page = app.get("/account")
    secrets.add(csrf_token(page))
    note(app.post("/account/profile", {"name": "New", "csrf_token": csrf_token(page)}))
    note(app.post(view(boom), {"password": PASSWORD}, status=500))
    note(app.post("/account/profile", {"csrf_token": WRONG}, status=400))
    note(app.post_json("/sign-up", {"name": "A", "email": EMAIL, "password": PASSWORD}, status=400))
    note(app.post_json("/sign-in", {"email": EMAIL, "password": WRONG}, status=401))
    note(sign_in(another(app)))
    stored = everything_in(db)
    note(sign_out(app))
    note(sign_in(app, password=WRONG))
    stored += everything_in(db)

    assert EMAIL in stored
    assert "INSERT INTO users" in caplog.text
    assert "broken, though" in caplog.text
    assert len(secrets) > 15
    for secret in secrets:
        assert secret not in stored
        assert secret not in caplog.text


def test_what_is_stored_of_a_password_is_a_hash(app, db):
    sign_up(app)

    assert db.execute(text("SELECT password_hash FROM users")).scalar_one().startswith("$2b$")


def test_what_is_stored_of_a_token_is_its_sha_256(app, db):
    sign_up(app)

    ticket = ticket_in(app.cookies["session"])
    stored = bytes(db.execute(text("SELECT token_hash FROM sessions")).scalar_one())
    assert stored == ticket.token_hash
    assert len(stored) == 32


def test_session_and_user_show_no_secrets_in_their_repr(lab_app, view):
    def show(request):
        request.session["cart"] = "a private thing"
        return [repr(request.session), repr(request.session._record), repr(request.identity)]

    sign_up(lab_app)
    shown = " ".join(lab_app.get(view(show)).json)

    ticket = ticket_in(lab_app.cookies["session"])
    assert "a private thing" not in shown
    assert repr(ticket.token_hash) not in shown
    assert "$2b$" not in shown
    assert repr(ticket.token) not in repr(ticket)
