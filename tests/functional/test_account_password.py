import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from authapp.domain.visitors import Visitor
from tests.functional.lab import Note
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    cookies_set,
    count,
    csrf_token,
    errors_beside,
    fill_in,
    greeting,
    path_of,
    session_cookie,
    shown_values,
    sign_in,
    sign_up,
    the_session,
)
from tests.functional.waiting import wait_until_blocked

NEW = "quite another password"
ADDRESS = "/account/password"


def change(app, current=PASSWORD, new=NEW):
    return fill_in(app.get(ADDRESS), ADDRESS, current_password=current, new_password=new)


def test_new_password_signs_in_and_the_old_one_does_not(app):
    sign_up(app)

    answer = change(app)

    assert answer.status_int == 303
    assert path_of(answer) == "/account"
    assert "Your password has been changed." in answer.follow()
    assert sign_in(another(app), password=PASSWORD).status_int == 401
    assert sign_in(another(app), password=NEW).status_int == 303


def test_program_changes_it(app):
    sign_up(app)
    token = app.get(ADDRESS, headers=JSON).json["csrf_token"]
    assert token

    body = {"current_password": PASSWORD, "new_password": NEW}
    answer = app.post_json(ADDRESS, body, status=204)

    assert answer.body == b""
    assert sign_in(another(app), password=NEW).status_int == 303


def test_other_sessions_end_and_this_one_goes_on_under_a_new_token(app, db):
    sign_up(app)
    laptop, phone, stranger = another(app), another(app), another(app)
    sign_in(laptop)
    sign_in(phone)
    sign_up(stranger, email="bo@example.com", name="Bo")
    old_cookie = app.cookies["session"]
    session_id = app.get("/", headers=JSON) and id_of_session(app, db)

    change(app)

    assert [greeting(browser) for browser in (app, laptop, phone, stranger)] == [
        *(NAME, None, None),
        "Bo",
    ]
    assert id_of_session(app, db) == session_id
    thief = another(app)
    thief.set_cookie("session", old_cookie)
    assert greeting(thief) is None


def id_of_session(app, db):
    """Of the session of this test's person, of whom there is one more than of strangers."""
    statement = """SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE u.email = :email ORDER BY s.created_at LIMIT 1"""
    return db.execute(text(statement), {"email": EMAIL}).scalar_one()


@pytest.mark.parametrize(
    ("current", "new", "errors"),
    [
        ("wrong", NEW, {"current_password": ["This is not your current password."]}),
        (PASSWORD, "short", {"new_password": ["Use at least 8 characters."]}),
        (
            "",
            "",
            {name: ["This field is required."] for name in ("current_password", "new_password")},
        ),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_changes(app, db, current, new, errors):
    sign_up(app)
    other = another(app)
    sign_in(other)

    page = change(app, current, new)

    assert page.status_int == 400
    assert errors_beside(page) == errors
    assert set(shown_values(page).values()) <= {"", EMAIL}
    assert cookies_set(page) == []
    assert greeting(other) == NAME
    assert sign_in(another(app)).status_int == 303


def test_program_is_told_what_is_wrong(app):
    sign_up(app)

    body = {"current_password": "wrong", "new_password": NEW}
    answer = app.post_json(ADDRESS, body, status=400)

    assert answer.json["error"]["fields"] == {
        "current_password": ["This is not your current password."]
    }


def test_not_without_the_form_s_token(app):
    sign_up(app)

    fields = {"current_password": PASSWORD, "new_password": NEW}
    app.post(ADDRESS, fields, status=400)

    assert sign_in(another(app)).status_int == 303


def test_visitor_is_sent_to_sign_in(app):
    assert path_of(app.get(ADDRESS, status=303)) == "/sign-in?next=%2Faccount%2Fpassword"
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert app.post_json(ADDRESS, body, status=401).json["error"]["code"] == "unauthenticated"


def test_password_and_sessions_change_together_or_not_at_all(lab_app, db, view):
    """The commit fails: both the old password and the old sessions are still there."""
    sign_up(lab_app)
    other = another(lab_app)
    sign_in(other)

    def act(request):
        request.services.accounts.change_password(
            request.identity.id, PASSWORD, NEW, keep=request.session.id
        )
        request.session.rotate()
        request.dbsession.add_all([Note(text="same"), Note(text="same")])
        return {}

    answer = lab_app.get(view(act), status=500)

    assert cookies_set(answer) == []
    assert greeting(lab_app) == greeting(other) == NAME
    assert sign_in(another(lab_app)).status_int == 303


def test_sign_in_under_way_with_the_old_password_does_not_slip_in(lab_app, db, view):
    """It was verified before the change, and commits after it."""
    sign_up(lab_app)
    thief = another(lab_app)
    verified, changed = threading.Event(), threading.Event()

    def slow_sign_in(request):
        user = request.services.passwords.authenticate(EMAIL, PASSWORD, Visitor(None)).user
        verified.set()
        changed.wait(2)
        request.session.sign_in(user.id)
        return {}

    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(thief.get, view(slow_sign_in), status="*")
        assert verified.wait(10)
        change_of_password = threads.submit(change, lab_app)
        wait_until_blocked(db)
        changed.set()
        assert slow.result().status_int == 200
        assert change_of_password.result().status_int == 303

    assert greeting(thief) is None
    assert count(db, "sessions") == 1


def test_of_two_changes_at_once_one_is_made(app, db):
    sign_up(app)
    other = another(app)
    sign_in(other)
    pages = [browser.get(ADDRESS) for browser in (app, other)]

    with ThreadPoolExecutor(2) as threads:
        answers = list(
            threads.map(
                lambda page, new: fill_in(
                    page, ADDRESS, current_password=PASSWORD, new_password=new
                ),
                pages,
                (NEW, "yet another password"),
            )
        )

    # The other has given a password that is wrong by now, or comes so late that it is signed out.
    made = [a for a in answers if a.status_int == 303 and path_of(a) == "/account"]
    assert len(made) == 1
    assert count(db, "sessions") == 1


def test_form_is_one_that_password_managers_understand(app):
    sign_up(app)

    form = app.get(ADDRESS).html.main.form

    tokens = {i.get("name"): i.get("autocomplete") for i in form.find_all("input")}
    assert tokens["username"] == "username"
    assert tokens["current_password"] == "current-password"
    assert tokens["new_password"] == "new-password"
    assert csrf_token(app.get(ADDRESS))


def test_cookie_of_the_new_token_is_as_persistent_as_the_old_one(app, db):
    sign_up(another(app))
    sign_in(app, remember=False)

    cookie = session_cookie(change(app))

    assert cookie["max-age"] == ""
    assert the_session(db).persistent is False
