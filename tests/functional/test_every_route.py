"""Every route with every kind of visitor.

What each may do is written down here once more, apart from the application: a route without a line
here fails the test, and so does one that lets in somebody whom its line does not.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import webtest
from sqlalchemy import Connection, text

from authapp.domain.tokens import Purpose
from tests.conftest import empty
from tests.functional.conftest import HOST
from tests.functional.second_factor import at_the_second_step, turn_on
from tests.functional.support import JSON, another, path_of, sign_up, token_for
from tests.functional.test_errors import SECURITY_HEADERS

EVERYONE = {"visitor", "second factor pending", "disabled", "member", "admin"}
SIGNED_IN = {"member", "admin"}
ADMINS = {"admin"}

# Who gets as far as the view, with GET and with POST.
ROUTES = {
    "__static/authapp/": EVERYONE,
    "change_password": EVERYONE,
    "favicon": EVERYONE,
    "home": EVERYONE,
    "brand": EVERYONE,
    "healthz": EVERYONE,
    "readyz": EVERYONE,
    "sign_up": EVERYONE,
    "sign_in": EVERYONE,
    "sign_in_second_factor": EVERYONE,
    "sign_out": EVERYONE,
    "forgot_password": EVERYONE,
    "reset_password": EVERYONE,
    "verify_email": EVERYONE,
    "verify_email_resend": SIGNED_IN,
    "account": SIGNED_IN,
    "account_profile": SIGNED_IN,
    "account_language": SIGNED_IN,
    "account_confirm": SIGNED_IN,
    "account_activity": SIGNED_IN,
    "account_activity_notify": SIGNED_IN,
    "account_password": SIGNED_IN,
    "account_email": SIGNED_IN,
    "account_delete": SIGNED_IN,
    "account_sessions": SIGNED_IN,
    "account_sessions_revoke": SIGNED_IN,
    "account_sessions_revoke_others": SIGNED_IN,
    "account_two_factor": SIGNED_IN,
    "account_two_factor_set_up": SIGNED_IN,
    "account_two_factor_disable": SIGNED_IN,
    "account_two_factor_codes": SIGNED_IN,
    "admin": ADMINS,
    "admin_users": ADMINS,
    "admin_users_show": ADMINS,
    "admin_users_disable": ADMINS,
    "admin_users_enable": ADMINS,
    "admin_users_end_sessions": ADMINS,
    "admin_users_role": ADMINS,
    "admin_users_reset_second_factor": ADMINS,
}
# What takes a sign-in that is recent, by method.
RECENT = {
    "account_two_factor": {"POST"},
    "account_two_factor_set_up": {"GET", "POST"},
    "admin_users_disable": {"POST"},
    "admin_users_enable": {"POST"},
    "admin_users_end_sessions": {"POST"},
    "admin_users_role": {"POST"},
    "admin_users_reset_second_factor": {"POST"},
}
# What does not depend on who asks.
IMPERSONAL = {"__static/authapp/", "change_password", "favicon", "healthz", "readyz"}
GUARDED = [name for name, allowed in ROUTES.items() if allowed != EVERYONE]

# All that belongs to somebody, but for when it was used last, by the name of the table.
BELONGINGS = {
    "users": "SELECT * FROM users WHERE id = :id",
    "sessions": "SELECT id, token_hash, data, expires_at FROM sessions WHERE user_id = :id",
    "tokens": "SELECT * FROM tokens WHERE user_id = :id",
    "second_factors": "SELECT * FROM second_factors WHERE user_id = :id",
    "recovery_codes": "SELECT * FROM recovery_codes WHERE user_id = :id",
    "outbox": "SELECT * FROM outbox WHERE user_id = :id",
    "security_events": "SELECT * FROM security_events WHERE user_id = :id",
}


class World:
    """Bea, to whom everything belongs, and browsers of all kinds of others."""

    def __init__(self, app: webtest.TestApp, db: Connection) -> None:
        self.db = db
        self.bea = another(app)
        sign_up(self.bea, email="bea@example.com", name="Bea")
        turn_on(self.bea)
        self.bea_id: UUID = self._id("bea")
        [self.session_id] = db.execute(
            text("SELECT id FROM sessions WHERE user_id = :id"), {"id": self.bea_id}
        ).scalars()
        self.token = token_for(db, self.bea_id, Purpose.RESET_PASSWORD, "bea@example.com")
        self.browsers = {
            "visitor": another(app),
            "second factor pending": self._pending(app),
            "disabled": self._person(app, "dora", "status = 'disabled'"),
            "member": self._person(app, "mia", "role = 'member'"),
            "admin": self._person(app, "ada", "role = 'admin'"),
        }

    def _person(self, app: webtest.TestApp, name: str, state: str) -> webtest.TestApp:
        browser = another(app)
        sign_up(browser, email=f"{name}@example.com", name=name)
        statement = text(f"UPDATE users SET {state} WHERE email = :email")  # noqa: S608
        # Past the application, which would have ended the session.
        self.db.execute(statement, {"email": f"{name}@example.com"})
        return browser

    def _pending(self, app: webtest.TestApp) -> webtest.TestApp:
        person = another(app)
        sign_up(person, email="pia@example.com", name="Pia")
        turn_on(person)
        return at_the_second_step(another(app), email="pia@example.com")

    def _id(self, name: str) -> UUID:
        statement = text("SELECT id FROM users WHERE email = :email")
        found: UUID = self.db.execute(statement, {"email": f"{name}@example.com"}).scalar_one()
        return found

    def path(self, pattern: str) -> str:
        """The route's address, about what is Bea's."""
        owned = self.bea_id if pattern.startswith("/admin") else self.session_id
        path = pattern.replace("{id}", str(owned)).replace("{token}", self.token)
        return "/" + path.replace("*subpath", "site.css").lstrip("/")

    def belongings(self) -> dict[str, Any]:
        of_bea = {"id": self.bea_id}
        return {
            table: sorted(
                self.db.execute(
                    text(f"SELECT found::text FROM ({statement}) AS found"),  # noqa: S608
                    of_bea,
                ).scalars()
            )
            for table, statement in BELONGINGS.items()
        }


@pytest.fixture(scope="module")
def app(wsgi_app) -> webtest.TestApp:
    return webtest.TestApp(wsgi_app, extra_environ=HOST)


@pytest.fixture(scope="module")
def world(app, engine) -> Iterator[World]:
    """The same one for all tests, as those who are not let in change nothing of it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        empty(db)
        yield World(app, db)
        empty(db)


def routes(app: webtest.TestApp) -> Iterator[tuple[str, str, set[str]]]:
    """The name, the pattern and the methods of every route that the application has."""
    introspector = app.app.registry.introspector
    methods: dict[str, set[str]] = {}
    for view in introspector.get_category("views", ()):
        found = view["introspectable"]
        if found["route_name"]:
            asked = found["request_methods"] or ("GET",)
            methods.setdefault(found["route_name"], set()).update(
                [asked] if isinstance(asked, str) else asked
            )
    for route in introspector.get_category("routes", ()):
        found = route["introspectable"]
        yield found["name"], found["pattern"], methods[found["name"]]


def pattern_and_methods(app: webtest.TestApp, name: str) -> tuple[str, set[str]]:
    [found] = [(pattern, methods) for route, pattern, methods in routes(app) if route == name]
    return found


def csrf_token(browser: webtest.TestApp) -> str:
    return str(browser.get("/sign-up", headers=JSON).json["csrf_token"])


def test_every_route_is_listed_here(app):
    assert {name for name, _, _ in routes(app)} == set(ROUTES)


@pytest.mark.parametrize("name", GUARDED)
def test_nobody_gets_in_who_is_not_listed_and_nothing_changes(world, app, name):
    pattern, methods = pattern_and_methods(app, name)
    path = world.path(pattern)
    before = world.belongings()

    for kind in EVERYONE - ROUTES[name]:
        browser = world.browsers[kind]
        for method in methods:
            page = _person(browser, method, path)
            answer = _program(browser, method, path)
            if kind == "member":
                assert (page.status_int, answer.status_int) == (403, 403), (kind, method)
            else:
                # Where a form was sent, its page is not known.
                target = path if method == "GET" else "/account"
                assert page.status_int == 303, (kind, method)
                assert path_of(page) == f"/sign-in?next={quote(target, safe='')}", kind
                assert answer.status_int == 401, (kind, method)
                assert answer.json["error"]["code"] == "unauthenticated"

    assert world.belongings() == before


@pytest.mark.parametrize("name", ROUTES)
def test_form_without_its_token_changes_nothing(world, app, name):
    pattern, methods = pattern_and_methods(app, name)
    if "POST" not in methods:
        return
    before = world.belongings()

    for kind in sorted(ROUTES[name]):
        answer = world.browsers[kind].post(world.path(pattern), status="*")
        nothing_to_protect = name == "sign_out" and kind in {"visitor", "second factor pending"}
        assert answer.status_int == (303 if nothing_to_protect else 400), kind

    assert world.belongings() == before


@pytest.mark.parametrize("kind", sorted(EVERYONE))
@pytest.mark.parametrize(
    "garbled", [None, UUID(int=1), "0", "%00", "%F0%9F%92%A9", "..", "x" * 999]
)
def test_sessions_of_others_are_as_good_as_none(world, kind, garbled):
    """`None` stands for the id of Bea's own session."""
    before = world.belongings()
    browser = world.browsers[kind]
    path = f"/account/sessions/{garbled or world.session_id}/revoke"

    page = browser.post(path, {"csrf_token": csrf_token(browser)}, status="*")
    answer = browser.post_json(path, {}, status="*")

    is_let_in = kind in SIGNED_IN
    assert page.status_int == (404 if is_let_in else 303)
    assert answer.status_int == (404 if is_let_in else 401)
    assert world.belongings() == before


@pytest.mark.parametrize("kind", sorted(EVERYONE - {"admin"}))
def test_looking_at_a_link_of_somebody_elses_uses_nothing_up(world, kind):
    before = world.belongings()
    path = f"/reset-password/{world.token}"

    for _ in range(3):
        world.browsers[kind].get(path, status=200)
        world.browsers[kind].head(path, status=200)

    assert world.belongings() == before


def test_whoever_is_disabled_or_pending_is_a_visitor_on_every_page(world, app):
    for name, pattern, methods in routes(app):
        if "GET" not in methods or name.startswith("__static"):
            continue
        path = world.path(pattern)
        expected = world.browsers["visitor"].get(path, status="*")
        for kind in ("disabled", "second factor pending"):
            if (name, kind) == ("sign_in_second_factor", "second factor pending"):
                continue
            answer = world.browsers[kind].get(path, status="*")
            assert answer.status == expected.status, (name, kind)
            assert answer.location == expected.location, (name, kind)


def _person(browser: webtest.TestApp, method: str, path: str) -> Any:
    if method == "GET":
        return browser.get(path, status="*")
    return browser.post(path, {"csrf_token": csrf_token(browser)}, status="*")


def _program(browser: webtest.TestApp, method: str, path: str) -> Any:
    if method == "GET":
        return browser.get(path, headers=JSON, status="*")
    return browser.post_json(path, {}, status="*")


@pytest.mark.parametrize("kind", sorted(EVERYONE))
def test_whatever_depends_on_who_asks_is_kept_by_no_cache(world, app, kind):
    for name, pattern, methods in routes(app):
        for method in sorted(methods | {"HEAD", "OPTIONS"}):
            path = world.path(pattern)
            for answer in _answers(world.browsers[kind], method, path):
                where = (name, method, answer.status)
                for header in SECURITY_HEADERS:
                    assert len(answer.headers.getall(header)) == 1, (where, header)
                # Each of these is the same for everybody, which the next test sees to.
                if name in IMPERSONAL and answer.status_int < 400:
                    assert answer.headers.getall("Set-Cookie") == [], where
                    continue
                assert answer.headers.getall("Cache-Control") == ["no-store"], where
                if answer.headers.getall("Set-Cookie") or answer.status_int < 400:
                    assert "Cookie" in answer.vary, where


@pytest.mark.parametrize("name", sorted(IMPERSONAL))
def test_what_caches_may_keep_is_the_same_for_everybody(world, app, name):
    pattern, _ = pattern_and_methods(app, name)
    path = world.path(pattern)

    answers = [browser.get(path, headers={"Accept": "*/*"}) for browser in world.browsers.values()]

    assert len({(a.status, a.body, a.location) for a in answers}) == 1
    assert not [a for a in answers if "Cookie" in (a.vary or ())]


def _answers(browser: webtest.TestApp, method: str, path: str) -> Iterator[Any]:
    """To a person and to a program. What is sent is refused, so that nothing changes."""
    for headers in ({}, JSON):
        yield browser.request(path, method=method, headers=headers, status="*")


@pytest.mark.parametrize("name", RECENT)
def test_what_matters_takes_a_sign_in_that_is_recent(world, app, name):
    pattern, _ = pattern_and_methods(app, name)
    before = world.belongings()
    admin = world.browsers["admin"]
    statement = text(
        "UPDATE sessions SET data = jsonb_set(data, '{authapp.confirmed_at,$datetime}', "
        "to_jsonb(CAST(:moment AS text))) "
        "FROM users WHERE users.id = user_id AND role = 'admin'"
    )
    kept = world.db.execute(text("SELECT now()")).scalar_one()

    world.db.execute(statement, {"moment": (kept - timedelta(hours=2)).isoformat()})
    for method in RECENT[name]:
        answer = _program(admin, method, world.path(pattern))
        assert answer.status_int == 403
        assert answer.json["error"]["code"] == "confirmation_required"
        page = _person(admin, method, world.path(pattern))
        assert path_of(page).startswith("/account/confirm?next=")
    world.db.execute(statement, {"moment": kept.isoformat()})

    assert world.belongings() == before


@pytest.mark.parametrize("kind", sorted(EVERYONE))
def test_whoever_is_listed_gets_in_and_never_meets_an_error_of_ours(world, app, kind):
    """The last of the tests, as those who are let in may change something."""
    found = sorted(routes(app), key=lambda route: route[0] == "sign_out")
    for name, pattern, methods in found:
        if kind not in ROUTES[name]:
            continue
        for method in sorted(methods):
            browser, path = world.browsers[kind], world.path(pattern)
            # Where there is no code to be given, 401 says so.
            refusals = {403, 405} if name == "sign_in_second_factor" else {401, 403, 405}
            answers = [_program(browser, method, path)]
            if method == "GET":
                answers.append(browser.get(path, status="*"))
            for answer in answers:
                assert answer.status_int < 500, (name, method)
                assert answer.status_int not in refusals, (name, method)
