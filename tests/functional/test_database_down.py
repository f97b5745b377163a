"""The application outlives its database, and is back as soon as that is."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webtest
from sqlalchemy import create_engine, text

from authapp.repositories import ENGINE, embedded
from tests.conftest import make_app
from tests.functional.conftest import HOST
from tests.functional.lab import INCLUDE, Note
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    cookies_set,
    count,
    csrf_token,
    greeting,
    sign_in,
    sign_out,
    sign_up,
)
from tests.functional.wire import Wire

FIELDS = {"name": NAME, "email": "bob@example.com", "password": PASSWORD}


@pytest.fixture
def down(wired_app, wire) -> Iterator[webtest.TestApp]:
    """Somebody who is signed in, while the database is gone."""
    sign_up(wired_app)
    wire.cut()
    yield wired_app
    wire.mend()
    assert wired_app.get("/account", status=200)


NEEDING = [
    ("GET", "/"),
    ("GET", "/account"),
    ("GET", "/sign-in"),
    ("GET", "/sign-up"),
    ("GET", "/readyz"),
    ("POST", "/sign-in"),
    ("POST", "/sign-up"),
    ("POST", "/sign-out"),
    ("POST", "/account/profile"),
]


@pytest.mark.parametrize(("method", "path"), NEEDING)
def test_page_that_needs_the_database_says_that_it_will_be_back(down, method, path, caplog):
    headers = {"Content-Type": "application/json"} if method == "POST" else JSON
    body = b'{"name": "New", "email": "bob@example.com", "password": "correct horse battery"}'

    answer = down.request(path, method=method, headers=headers, body=body, status=503)

    assert answer.json["error"]["code"] == "unavailable"
    assert "othing was changed" not in answer.json["error"]["message"]
    assert int(answer.headers["Retry-After"]) > 0
    assert cookies_set(answer) == []
    assert "unavailable" in caplog.text


def test_page_can_be_asked_for_again(down):
    page = down.get("/account/sessions?a=1&b=%2F", status=503)

    assert page.html.main.find("a", string="Try again")["href"] == "/account/sessions?a=1&b=%2F"
    form = down.post("/account/profile", {"name": "New"}, status=503)
    assert form.html.main.find("a", string="Try again") is None


@pytest.mark.parametrize("path", ["/", "/account", "/sign-in", "/sign-up", "/readyz"])
def test_it_says_so_in_a_plain_page(down, path):
    page = down.get(path, status=503)

    assert page.content_type == "text/html"
    assert "Error 503" in page.html.main.get_text()
    assert int(page.headers["Retry-After"]) > 0
    assert page.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors" in page.headers["Content-Security-Policy"]
    assert cookies_set(page) == []
    # Nobody knows so of a connection that broke during COMMIT.
    assert "othing was changed" not in page
    assert "look first whether it has been done" in page
    for word in ("psycopg2", "OperationalError", "Traceback", "127.0.0.1", "sqlalche"):
        assert word not in page


def test_form_is_refused_with_the_same_page(down):
    for path in ("/sign-in", "/sign-up", "/account/profile", "/sign-out"):
        page = down.post(path, FIELDS, status=503)
        assert page.html.h1
        assert PASSWORD not in page


def test_what_needs_no_database_is_answered(down):
    visitor = another(down)

    for browser in (visitor, down):
        for path in ("/healthz", "/static/authapp/site.css"):
            browser.get(path, status=200)
        browser.get("/nowhere", status=404)
        browser.get("/sign-out", status=405)
    for path in ("/", "/sign-in", "/sign-up"):
        visitor.get(path, status=200)
    visitor.get("/account", status=303)
    visitor.post("/sign-up", {}, status=400)
    token = csrf_token(visitor.get("/sign-up"))
    visitor.post("/sign-up", {**FIELDS, "name": "", "csrf_token": token}, status=400)
    visitor.get("/", headers={"Cookie": "session=forged"}, status=200)


def test_visitor_who_signs_in_is_told_to_come_back(down, wire, db):
    visitor = another(down)
    page = visitor.get("/sign-in")

    fields = {"email": EMAIL, "password": PASSWORD, "csrf_token": csrf_token(page)}
    answer = visitor.post("/sign-in", fields, status=503)
    assert cookies_set(answer) == []

    wire.mend()
    assert visitor.post("/sign-in", fields, status=303)
    assert count(db, "sessions") == 2
    wire.cut()


def test_connections_that_died_meanwhile_are_never_noticed(wired_app, wire):
    sign_up(wired_app)
    for _ in range(3):
        wire.cut()
        wire.mend()

        assert wired_app.get("/account", status=200)
        assert wired_app.post_json("/account/profile", {"name": "New"}, status=200)


def test_nothing_is_half_done_when_the_connection_breaks_at_the_commit(make_lab, db, view, wire):
    wsgi_app = make_app(wire.url, pyramid__includes=INCLUDE)
    app = webtest.TestApp(wsgi_app, extra_environ=HOST)
    make_lab()
    db.execute(text("DELETE FROM lab_notes"))

    def act(request):
        request.session["note"] = "written"
        request.dbsession.add(Note(text="written"))
        request.dbsession.flush()
        wire.cut()
        return {}

    answer = app.get(view(act), status=503)
    wire.mend()

    assert cookies_set(answer) == []
    assert count(db, "lab_notes") == 0
    assert count(db, "sessions") == 0
    assert app.get("/readyz", status=200)
    wsgi_app.registry[ENGINE].dispose()


def test_application_starts_while_the_database_is_down(migrated_url, db):
    wire = Wire(migrated_url)
    wire.cut()
    wsgi_app = make_app(wire.url)
    app = webtest.TestApp(wsgi_app, extra_environ=HOST)
    try:
        app.get("/", status=200)
        app.get("/readyz", status=503)

        wire.mend()
        app.get("/readyz", status=200)
        assert sign_up(app).status_int == 303
    finally:
        wsgi_app.registry[ENGINE].dispose()
        wire.cut()


def test_backends_that_are_terminated_are_replaced(wired_app, db):
    sign_up(wired_app)
    db.execute(
        text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'authapp' "
            "AND pid <> pg_backend_pid()"
        )
    )

    assert wired_app.get("/account", status=200)
    assert greeting(wired_app) == NAME


def test_exhausted_pool_is_a_503_soon_and_recovers(migrated_url, db):
    settings = {"pool_size": "1", "max_overflow": "0", "pool_timeout": "1s"}
    wsgi_app = make_app(migrated_url, **{f"sqlalchemy__{k}": v for k, v in settings.items()})
    app = webtest.TestApp(wsgi_app, extra_environ=HOST)
    sign_up(app)

    with wsgi_app.registry[ENGINE].connect():
        answer = app.get("/account", status=503)
        assert int(answer.headers["Retry-After"]) > 0
        another(app).get("/", status=200)

    app.get("/account", status=200)
    wsgi_app.registry[ENGINE].dispose()


# With a real server that really goes away.


class Server:
    """An embedded PostgreSQL of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = embedded.start(directory)

    def stop(self, mode: str) -> None:
        embedded._run(self.directory, "pg_ctl", "stop", "-m", mode, "-w", "-D", self.directory)

    def start(self) -> None:
        assert embedded.start(self.directory) == self.url


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # Not pytest's directory, which later runs of pytest close to the server's user.
    with tempfile.TemporaryDirectory(prefix="authapp-test-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder) / "postgresql")
        yield server
        server.stop("immediate")


@pytest.fixture(scope="module")
def restarted_wsgi_app(server: Server, migrate: Any) -> Iterator[Any]:
    migrate(server.url)
    wsgi_app = make_app(server.url)
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


def rows(server: Server, table: str) -> int:
    engine = create_engine(server.url)
    with engine.connect() as connection:
        found = count(connection, table)
    engine.dispose()
    return found


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_sessions_survive_a_restart_of_the_server(server, restarted_wsgi_app, mode):
    app = webtest.TestApp(restarted_wsgi_app, extra_environ=HOST)
    if sign_up(app).status_int != 303:
        sign_in(app)
    before = rows(server, "sessions")
    visitor = another(app)

    server.stop(mode)
    app.get("/account", status=503)
    app.get("/account", headers=JSON, status=503)
    app.get("/readyz", status=503)
    visitor.get("/", status=200)
    server.start()

    assert app.get("/account", status=200)
    assert greeting(app) == NAME
    assert rows(server, "sessions") == before
    assert sign_in(visitor).status_int == 303
    assert sign_out(app).status_int == 303


def test_restart_between_two_pages_is_never_noticed(server, restarted_wsgi_app):
    app = webtest.TestApp(restarted_wsgi_app, extra_environ=HOST)
    if sign_up(app).status_int != 303:
        sign_in(app)

    server.stop("fast")
    server.start()

    assert app.get("/account", status=200)
