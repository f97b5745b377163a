"""What a person does with the pages, in words that the tests share."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import webob
import webtest
from sqlalchemy import Connection, Engine, event, text
from webtest import TestResponse

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
    """The one cookie that the response sets, but for the one that makes the browser known."""
    [morsel] = [morsel for morsel in cookies_set(response) if not is_device(morsel)]
    return morsel


def device_cookie(response: TestResponse) -> Morsel[str]:
    """The one that makes the browser known."""
    [morsel] = [morsel for morsel in cookies_set(response) if is_device(morsel)]
    return morsel


def is_device(cookie: Morsel[str]) -> bool:
    return cookie.key in {"device", "__Host-device"}


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
