"""What a person does with the pages, in words that the tests share."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import webob
import webtest
from sqlalchemy import Connection, Engine, event, text
from webtest import TestResponse

from authapp.domain.tokens import LIFETIMES, Purpose, Token, new_token, token_hash
from authapp.repositories.connections import BoundConnections
from authapp.repositories.tokens import SqlTokenRepository
from authapp.sessions.cookie import Ticket, TicketSigner

NAME = "Ada Lovelace"
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"
# The secret of `app_settings` in tests/conftest.py.
SECRET = "not secret: the tests know it anyway"
JSON = {"Accept": "application/json"}
THIRTY_DAYS = 30 * 24 * 60 * 60


def another(app: webtest.TestApp, **environ: str) -> webtest.TestApp:
    """A second browser, with no cookies, before the same application."""
    return webtest.TestApp(app.app, extra_environ={**app.extra_environ, **environ})


def unchecked(app: webtest.TestApp) -> webtest.TestApp:
    """The same browser, free to send what breaks the rules of WSGI.

    Also for large bodies: unless it is told that a body can be read twice, as without WebTest's
    checks it can, WebOb copies it into a file that it never closes.
    """
    environ = {**app.extra_environ, "webob.is_body_seekable": True}
    return webtest.TestApp(app.app, extra_environ=environ, cookiejar=app.cookiejar, lint=False)


def call(app: webtest.TestApp, path: bytes, method: str = "GET") -> webob.Response:
    """Calls the application with a path that WebTest itself could not send."""
    request = webob.Request.blank("/", app.extra_environ, method=method)
    request.environ["PATH_INFO"] = path.decode("latin-1")
    return request.get_response(app.app)


def sign_up(
    app: webtest.TestApp, email: str = EMAIL, name: str = NAME, password: str = PASSWORD
) -> TestResponse:
    return fill_in(app.get("/sign-up"), "/sign-up", name=name, email=email, password=password)


def sign_in(
    app: webtest.TestApp, email: str = EMAIL, password: str = PASSWORD, **others: Any
) -> TestResponse:
    return fill_in(app.get("/sign-in"), "/sign-in", email=email, password=password, **others)


def fill_in(page: TestResponse, action: str, **fields: Any) -> TestResponse:
    """Sends the form of `page` that goes to `action`, as the server answers it."""
    form = form_to(page, action)
    for name, value in fields.items():
        form[name] = value
    return form.submit(status="*")


def form_to(page: TestResponse, action: str) -> webtest.Form:
    [form] = [form for form in set(page.forms.values()) if form.action == action]
    return form


def sign_out(app: webtest.TestApp) -> TestResponse:
    return fill_in(app.get("/"), "/sign-out")


def csrf_token(page: TestResponse) -> str:
    return str(page.html.find("input", attrs={"name": "csrf_token"})["value"])


def path_of(response: TestResponse) -> str:
    """Where a redirect leads, without this site's own scheme and host."""
    location = urlsplit(response.location)
    assert location.netloc in {"", response.request.host}, response.location
    return location._replace(scheme="", netloc="").geturl()


def greeting(app: webtest.TestApp) -> str | None:
    """The name of the person whom the application takes this browser's user for."""
    user = app.get("/", headers=JSON).json["user"]
    return user["name"] if user else None


def errors_beside(response: TestResponse) -> dict[str, list[str]]:
    """The messages that a page ties to its inputs, by the names of the inputs."""
    found = {}
    for field in response.html.find_all("input", attrs={"aria-invalid": "true"}):
        ids = field["aria-describedby"].split()
        [errors] = [response.html.find(id=i) for i in ids if i.endswith("-error")]
        found[field["name"]] = [p.get_text() for p in errors.find_all("p")]
    return found


def shown_values(response: TestResponse) -> dict[str, str]:
    """What the inputs of a page are filled in with, but for the CSRF token."""
    inputs = {i["name"]: i.get("value", "") for i in response.html.main.find_all("input")}
    inputs.pop("csrf_token")
    return inputs


def alert(response: TestResponse) -> str:
    """The message that belongs to the form as a whole."""
    return str(response.html.find(attrs={"role": "alert"}).get_text())


# Cookies.


def cookies_set(response: TestResponse) -> list[Morsel[str]]:
    headers = response.headers.getall("Set-Cookie")
    return [morsel for header in headers for morsel in SimpleCookie(header).values()]


def session_cookie(response: TestResponse) -> Morsel[str]:
    """The one cookie that the response sets, but for the one that makes the browser known, and the
    one that says farewell."""
    [morsel] = [
        morsel
        for morsel in cookies_set(response)
        if not is_device(morsel) and not is_farewell(morsel)
    ]
    return morsel


def device_cookie(response: TestResponse) -> Morsel[str]:
    """The one that makes the browser known."""
    [morsel] = [morsel for morsel in cookies_set(response) if is_device(morsel)]
    return morsel


def is_device(cookie: Morsel[str]) -> bool:
    return cookie.key in {"device", "__Host-device"}


def is_farewell(cookie: Morsel[str]) -> bool:
    return cookie.key in {"farewell", "__Host-farewell"}


def is_cleared(cookie: Morsel[str]) -> bool:
    return cookie.value == "" and cookie["max-age"] == "0"


def ticket_in(cookie: str) -> Ticket:
    ticket = TicketSigner([SECRET]).loads(cookie)
    assert ticket is not None
    return ticket


def signed(ticket: Ticket) -> str:
    """A cookie's value that the application will take for its own."""
    return TicketSigner([SECRET]).dumps(ticket)


def with_cookie(value: str, name: str = "session") -> dict[str, str]:
    return {"Cookie": f"{name}={value}"}


# The database.


def count(db: Connection, table: str) -> int:
    return int(db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608


def the_session(db: Connection) -> Any:
    """The one row of the sessions table."""
    return db.execute(text("SELECT * FROM sessions")).one()


def id_of(db: Connection, email: str = EMAIL) -> UUID:
    found: UUID = db.execute(
        text("SELECT id FROM users WHERE email = :e"), {"e": email}
    ).scalar_one()
    return found


def token_for(
    db: Connection,
    user_id: UUID,
    purpose: Purpose,
    email: str = EMAIL,
    lifetime: timedelta | None = None,
) -> str:
    """A token as it stands in the link that is sent to `email`."""
    token = new_token()
    good_for = LIFETIMES[purpose] if lifetime is None else lifetime
    repository = SqlTokenRepository(BoundConnections(db))
    repository.add(token_hash(token), Token(purpose, user_id, email), good_for)
    return token


def letters(db: Connection) -> list[tuple[str, str]]:
    """What waits in the outbox: the kinds and the recipients, in the order of the kinds."""
    rows = db.execute(text("SELECT kind, recipient FROM outbox ORDER BY kind, created_at"))
    return [tuple(row) for row in rows]


def events(db: Connection) -> list[str]:
    """The kinds of what was written down, in its order."""
    kinds = db.execute(text("SELECT kind FROM security_events ORDER BY id"))
    return list(kinds.scalars().all())


def forget_the_past(db: Connection) -> None:
    """Empties the outbox and the events, so that what comes next can be told."""
    db.execute(text("DELETE FROM outbox"))
    db.execute(text("DELETE FROM security_events"))


def state(db: Connection) -> dict[str, Any]:
    """All that a link in a message may change."""
    tables = ("users", "tokens", "sessions", "outbox", "security_events")
    rows = (db.execute(text(f"SELECT * FROM {t} ORDER BY 1")).all() for t in tables)  # noqa: S608
    return dict(zip(tables, rows, strict=True))


def is_refused(app: webtest.TestApp, db: Connection, token: str, page: str) -> bool:
    """Whether the token is answered as any that is no good, and nothing changes."""
    before = state(db)
    address = f"/{page}/{token}"
    browser = another(app)
    fields = {"csrf_token": csrf_token(browser.get("/sign-in")), "new_password": "quite another"}
    for response in (browser.get(address, status=400), browser.post(address, fields, status=400)):
        assert response.html.h1.get_text() == "This link is no longer good"
        assert token not in response
    for answer in (
        browser.get(address, headers=JSON, status=400),
        browser.post_json(address, {"new_password": "quite another"}, status=400),
    ):
        assert answer.json["error"]["code"] == "token_invalid"
    browser.request(address, method="HEAD", status=400)
    return state(db) == before


@contextmanager
def failing_commits(db: Connection, table: str) -> Iterator[None]:
    """Makes each transaction that changes a row of the table fail when it is committed."""
    db.execute(
        text(
            "CREATE FUNCTION fail_late() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'late'; END $$"
        )
    )
    db.execute(
        text(
            f"CREATE CONSTRAINT TRIGGER fail_late AFTER INSERT OR UPDATE ON {table} "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_late()"
        )
    )
    try:
        yield
    finally:
        db.execute(text("DROP FUNCTION fail_late CASCADE"))


@contextmanager
def statements_on(engine: Engine) -> Iterator[list[str]]:
    """Collects the statements that are executed meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
