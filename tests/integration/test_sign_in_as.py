"""`authapp.testing.sign_in_as`, as the test suite of another application uses it."""

from types import SimpleNamespace

import pytest
import webtest
from sqlalchemy import text
from transaction import TransactionManager

from authapp.testing import sign_in_as
from authapp.testing.views import INCLUDE, PATH, VALUE, VIEW
from tests.integration.session_apps import AloneApps

JSON = {"Accept": "application/json"}


@pytest.fixture
def user_id(db):
    return db.scalar(
        text(
            "INSERT INTO users (name, email, password_hash) "
            "VALUES ('Ada', 'ada@example.com', 'none') RETURNING id"
        )
    )


def name_shown(app):
    user = app.get("/", headers=JSON).json["user"]
    return user["name"] if user else None


def test_a_user_is_signed_in(app, db, user_id):
    sign_in_as(app, SimpleNamespace(id=user_id))

    assert name_shown(app) == "Ada"
    session = db.execute(text("SELECT user_id, persistent FROM sessions")).one()
    assert session == (user_id, True)


def test_an_id_will_do(app, user_id):
    sign_in_as(app, user_id)

    assert name_shown(app) == "Ada"


def test_the_pages_behave_as_after_any_sign_in(app, db, user_id):
    sign_in_as(app, user_id)

    assert app.get("/account").status_int == 200
    forms = app.get("/account").forms.values()
    [sign_out] = {form.action: form for form in forms if form.action == "/sign-out"}.values()
    sign_out.submit(status=303)

    assert name_shown(app) is None
    assert db.scalar(text("SELECT count(*) FROM sessions")) == 0


def test_only_that_browser_is_signed_in(app, user_id):
    other = webtest.TestApp(app.app, extra_environ=app.extra_environ)

    sign_in_as(app, user_id)

    assert name_shown(other) is None


def test_it_can_be_done_again_as_somebody_else(app, db, user_id):
    sign_in_as(app, user_id)
    other_id = db.scalar(
        text(
            "INSERT INTO users (name, email, password_hash) "
            "VALUES ('Bea', 'bea@example.com', 'none') RETURNING id"
        )
    )

    sign_in_as(app, other_id)

    assert name_shown(app) == "Bea"
    assert db.scalars(text("SELECT user_id FROM sessions")).all() == [other_id]


def test_the_cookie_can_be_one_that_ends_with_the_browser(app, db, user_id):
    sign_in_as(app, user_id, persistent=False)

    [cookie] = app.cookiejar
    assert cookie.expires is None
    assert not db.scalar(text("SELECT persistent FROM sessions"))


def test_it_works_over_https(wsgi_app, db, user_id):
    environ = {"HTTP_HOST": "localhost:6543", "wsgi.url_scheme": "https"}
    app = webtest.TestApp(wsgi_app, extra_environ=environ)

    sign_in_as(app, user_id)

    assert list(app.cookies) == ["__Host-session"]
    assert name_shown(app) == "Ada"


def test_nothing_of_it_reaches_the_applications_own_requests(app, user_id):
    """The view that signs in answers no request but its own."""
    sign_in_as(app, user_id)

    assert "Ada" in app.get("/").text
    assert app.get("/nothing-here", status=404)


def test_an_application_that_includes_the_sessions_alone(database_url):
    apps = AloneApps(database_url, "sign_in_as")
    try:
        [number, _] = apps.add_users()
        app = webtest.TestApp(apps.make(INCLUDE, {}))

        sign_in_as(app, number)

        environ = {VIEW: lambda request: request.session.user_id}
        response = app.get(PATH, extra_environ=environ)
        assert response.request.environ[VALUE] == number
    finally:
        apps.dispose()


def test_an_application_that_does_not_commit_is_told_so(wsgi_app, db, user_id):
    """As some test set-ups do, which roll everything back that the requests of a test did."""
    tm = TransactionManager(explicit=True)
    tm.begin()
    environ = {"HTTP_HOST": "localhost:6543", "tm.active": True, "tm.manager": tm}

    with pytest.raises(RuntimeError, match=r"tm\.active"):
        sign_in_as(webtest.TestApp(wsgi_app, extra_environ=environ), user_id)

    tm.abort()
