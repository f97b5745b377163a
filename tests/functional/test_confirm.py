"""Giving the password once more: the page, and the view option `recent=True`."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytest
import webtest
from pyramid.response import Response
from sqlalchemy import text

from authapp.repositories import ENGINE
from authapp.security.recent import CONFIRMED_AT
from authapp.testing import sign_in_as
from tests.conftest import make_app
from tests.functional.conftest import HOST
from tests.functional.lab import Note
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    alert,
    another,
    cookies_set,
    csrf_token,
    errors_beside,
    fill_in,
    greeting,
    path_of,
    session_cookie,
    shown_values,
    sign_in,
    sign_up,
    statements_on,
    the_session,
)

PAGE = "/account/confirm"
DANGER = "/danger"


def includeme(config):
    """An application's own pages, of which some take a sign-in that is recent."""
    config.add_route("danger", DANGER)
    config.add_view(show, route_name="danger", request_method="GET", **GUARDED)
    config.add_view(act, route_name="danger", request_method="POST", **GUARDED)
    config.add_route("danger_only", "/danger/act")
    config.add_view(act, route_name="danger_only", request_method="POST", **GUARDED)
    config.add_route("danger_open", "/danger/open")
    config.add_view(show, route_name="danger_open", recent=True)


GUARDED = {"permission": "account", "recent": True}


def show(request):
    return Response("what matters")


def act(request):
    request.dbsession.add(Note(text="done"))
    return Response("done")


@pytest.fixture(scope="module")
def guarded_wsgi_app(migrated_url, lab_tables):
    wsgi_app = make_app(migrated_url, pyramid__includes=__name__)
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


@pytest.fixture
def app(guarded_wsgi_app, db):
    db.execute(text("DELETE FROM lab_notes"))
    return webtest.TestApp(guarded_wsgi_app, extra_environ=HOST)


@pytest.fixture
def ada(app, db):
    """Somebody whose sign-in is no longer recent."""
    sign_up(app)
    pass_time(db)
    return app


def pass_time(db, interval="1 hour 1 second"):
    db.execute(
        text(
            "UPDATE sessions SET data = jsonb_set(data, ARRAY[:key, '$datetime'], "
            # Whole seconds, which PostgreSQL spells as the application does.
            "to_jsonb(date_trunc('second', (data #>> ARRAY[:key, '$datetime'])::timestamptz "
            "- cast(:i AS interval))))"
        ),
        {"key": CONFIRMED_AT, "i": interval},
    )


def confirmed_at(db):
    return datetime.fromisoformat(the_session(db).data[CONFIRMED_AT]["$datetime"])


def confirm(app, password=PASSWORD, target=DANGER):
    page = app.get(PAGE, {"next": target})
    return fill_in(page, PAGE, current_password=password)


def kinds(db):
    return db.execute(text("SELECT kind FROM security_events ORDER BY id")).scalars().all()


# The option.


def test_whoever_has_just_signed_up_or_in_need_not_confirm(app, db):
    sign_up(app)
    other = another(app)
    sign_in(other)

    for browser in (app, other):
        assert browser.get(DANGER, status=200).text == "what matters"
        browser.post(DANGER, {"csrf_token": csrf_token(browser.get("/account"))}, status=200)
        db.execute(text("DELETE FROM lab_notes"))


def test_it_is_no_longer_recent_after_an_hour(app, db):
    sign_up(app)
    pass_time(db, "59 minutes 50 seconds")
    app.get(DANGER, status=200)
    pass_time(db, "10 seconds")
    app.get(DANGER, status=303)


def test_a_page_is_found_again_after_confirming(ada):
    answer = ada.get(f"{DANGER}?tab=2", status=303)
    assert path_of(answer) == f"{PAGE}?next=%2Fdanger%3Ftab%3D2"

    page = answer.follow(status=200)
    answer = fill_in(page, PAGE, current_password=PASSWORD)

    assert answer.status_int == 303
    assert path_of(answer) == f"{DANGER}?tab=2"
    assert answer.follow(status=200).text == "what matters"


def test_of_a_form_it_is_the_page_that_it_is_on(ada, db):
    token = csrf_token(ada.get("/account"))

    answer = ada.post(DANGER, {"csrf_token": token}, status=303)
    other = ada.post("/danger/act", {"csrf_token": token}, status=303)

    assert path_of(answer) == f"{PAGE}?next=%2Fdanger"
    assert path_of(other) == f"{PAGE}?next=%2Faccount"
    assert db.execute(text("SELECT count(*) FROM lab_notes")).scalar_one() == 0


FROM_HERE = "http://localhost:6543/account/activity?page=2"


@pytest.mark.parametrize(
    ("referrer", "target"),
    [
        (FROM_HERE, "/account/activity?page=2"),
        ("http://localhost:6543/account/activity", "/account/activity"),
        ("https://evil.example/account/activity", "/account"),
        ("http://localhost:6543.evil.example/account/activity", "/account"),
        ("http://localhost:6543//evil.example", "/account"),
        ("http://localhost:6543/account/activit%C3%A9%FF", "/account"),
        ("http://localhost:6543/nowhere", "/account"),
        # Forms are sent there, and nothing else.
        ("http://localhost:6543/danger/act", "/account"),
        ("http://localhost:6543", "/account"),
        ("nonsense", "/account"),
        ("", "/account"),
    ],
)
def test_of_a_form_with_no_page_of_its_own_it_is_the_page_that_the_browser_names(
    ada, referrer, target
):
    token = csrf_token(ada.get("/account"))

    answer = ada.post(
        "/danger/act", {"csrf_token": token}, headers={"Referer": referrer}, status=303
    )

    assert path_of(answer) == f"{PAGE}?{urlencode({'next': target})}"


def test_page_that_the_browser_names_may_be_that_of_the_site_s_public_address(
    migrated_url, lab_tables, db
):
    """A proxy may speak of it in other words."""
    site = "https://accounts.example.com"
    wsgi_app = make_app(migrated_url, pyramid__includes=__name__, site__url=site)
    browser = webtest.TestApp(wsgi_app, extra_environ={"HTTP_HOST": "accounts.example.com"})
    fields = {"name": NAME, "email": EMAIL, "password": PASSWORD}
    browser.post_json("/sign-up", fields, status=201)

    answer = browser.post("/danger/act", {}, headers={"Referer": f"{site}/danger?a=b"}, status=400)
    wsgi_app.registry[ENGINE].dispose()

    assert answer.html.main.find("a", string="Back to the page")["href"] == "/danger?a=b"


def test_program_is_told_what_to_do(ada, db):
    for answer in (
        ada.get(DANGER, headers=JSON, status=403),
        ada.post_json(DANGER, {}, status=403),
    ):
        assert answer.json["error"]["code"] == "confirmation_required"
        assert PAGE in answer.json["error"]["message"]

    ada.post_json(PAGE, {"current_password": PASSWORD}, status=204)

    assert ada.post_json(DANGER, {}, status=200).text == "done"


def test_visitors_are_asked_to_sign_in(app):
    for path in (DANGER, "/danger/open"):
        assert path_of(app.get(path, status=303)).startswith("/sign-in?next=")
        assert app.get(path, headers=JSON, status=401).json["error"]["code"] == "unauthenticated"


def test_the_form_s_token_is_checked_first(ada):
    assert ada.post(DANGER, {}, status=400).html.h1.get_text() == "This form has expired"


@pytest.mark.parametrize("value", ['"text"', "7", "null", '{"$date": "2099-01-01"}', "[]"])
def test_what_is_no_time_is_not_recent(ada, db, value):
    db.execute(
        text("UPDATE sessions SET data = jsonb_build_object(:key, cast(:value AS jsonb))"),
        {"key": CONFIRMED_AT, "value": value},
    )

    ada.get(DANGER, status=303)


def test_how_long_is_a_setting(migrated_url, db):
    wsgi_app = make_app(migrated_url, pyramid__includes=__name__, sign_in__recent="1s")
    browser = webtest.TestApp(wsgi_app, extra_environ=HOST)
    sign_up(browser)
    browser.get(DANGER, status=200)
    pass_time(db, "1 second")

    browser.get(DANGER, status=303)
    wsgi_app.registry[ENGINE].dispose()


def test_it_costs_one_statement_more_and_pages_without_it_none(app):
    sign_up(app)
    engine = app.app.registry[ENGINE]

    with statements_on(engine) as with_it:
        app.get(DANGER, status=200)
    with statements_on(engine) as without:
        app.get("/account", status=200)

    assert with_it[1:] == ["SELECT now() AS now_1"]
    assert len(without) == 1


def test_so_are_those_whom_tests_sign_in(app, db):
    sign_up(app)
    user_id = db.execute(text("SELECT id FROM users")).scalar_one()
    other = another(app)

    sign_in_as(other, user_id)

    other.get(DANGER, status=200)


# The page.


def test_confirming_renews_the_token_and_keeps_the_session(ada, db):
    before, cookie = the_session(db), ada.cookies["session"]

    answer = confirm(ada)

    after = the_session(db)
    assert after.id == before.id
    assert after.token_hash != before.token_hash
    assert session_cookie(answer).value != cookie
    thief = another(ada)
    thief.set_cookie("session", cookie)
    assert greeting(thief) is None
    assert kinds(db) == ["signed_up", "identity_confirmed"]


def test_the_time_is_the_database_s(ada, db):
    confirm(ada)

    now = db.execute(text("SELECT now()")).scalar_one()
    assert timedelta(0) <= now - confirmed_at(db) < timedelta(seconds=5)


def test_sign_in_writes_it_with_the_session(app, db):
    sign_up(another(app))
    db.execute(text("DELETE FROM sessions"))
    page = app.get("/sign-in")

    with statements_on(app.app.registry[ENGINE]) as statements:
        fill_in(page, "/sign-in", email=EMAIL, password=PASSWORD)

    writes = [s for s in statements if " sessions" in s and not s.startswith("SELECT")]
    assert len(writes) == 1
    now = db.execute(text("SELECT now()")).scalar_one()
    assert now - confirmed_at(db) < timedelta(seconds=5)


def test_wrong_password_is_said_beside_the_field_and_counts_for_nothing(ada, db):
    before = the_session(db)

    page = confirm(ada, "wrong password")

    assert page.status_int == 400
    assert errors_beside(page) == {"current_password": ["This is not your current password."]}
    assert shown_values(page) == {"next": DANGER, "username": EMAIL, "current_password": ""}
    assert the_session(db) == before
    assert cookies_set(page) == []
    assert kinds(db) == ["signed_up", "wrong_password"]
    ada.get(DANGER, status=303)


def test_nothing_given_is_said_too(ada):
    assert errors_beside(confirm(ada, "")) == {"current_password": ["This field is required."]}
    answer = ada.post_json(PAGE, {}, status=400)
    assert answer.json["error"]["fields"] == {"current_password": ["This field is required."]}


def test_too_many_are_refused_and_the_way_on_is_kept(ada):
    for _ in range(10):
        ada.post_json(PAGE, {"current_password": "wrong password"}, status=400)

    page = confirm(ada)

    assert page.status_int == 429
    assert alert(page).startswith("Too many attempts.")
    assert shown_values(page)["next"] == DANGER


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "", "account"]
)
def test_the_way_on_never_leaves_this_site(ada, target):
    answer = confirm(ada, target=target)
    assert path_of(answer) == "/account"

    fields = {"current_password": PASSWORD, "next": target}
    token = csrf_token(ada.get(PAGE))
    assert path_of(ada.post(PAGE, {**fields, "csrf_token": token}, status=303)) == "/account"


def test_visitor_is_sent_to_sign_in(app):
    assert path_of(app.get(PAGE, status=303)) == "/sign-in?next=%2Faccount%2Fconfirm"
    app.post_json(PAGE, {"current_password": PASSWORD}, status=401)


def test_not_without_the_form_s_token(ada):
    ada.post(PAGE, {"current_password": PASSWORD}, status=400)

    ada.get(DANGER, status=303)


def test_program_reads_the_token_there(ada):
    token = ada.get(PAGE, headers=JSON, status=200).json["csrf_token"]

    fields = {"current_password": PASSWORD, "csrf_token": token}
    ada.post(PAGE, fields, headers=JSON, status=204)

    ada.get(DANGER, status=200)


def test_form_is_one_that_password_managers_understand(ada):
    form = ada.get(PAGE).html.main.form

    tokens = {i.get("name"): i.get("autocomplete") for i in form.find_all("input")}
    assert tokens["username"] == "username"
    assert tokens["current_password"] == "current-password"
    assert ada.get(PAGE).html.nav.find("a", href="/account")["aria-current"] == "true"


# Whoever else has given the password.


def test_a_change_of_the_password_confirms_as_well(ada):
    fields = {"current_password": PASSWORD, "new_password": "quite another password"}
    ada.post_json("/account/password", fields, status=204)

    ada.get(DANGER, status=200)


def test_forms_that_ask_for_it_themselves_are_not_asked_before(ada):
    for path in ("/account/password", "/account/delete", "/account/sessions", "/account"):
        ada.get(path, status=200)


def test_signing_in_again_confirms(ada, db):
    ada.post_json("/sign-in", {"email": EMAIL, "password": PASSWORD}, status=200)

    ada.get(DANGER, status=200)
    assert greeting(ada) == NAME
