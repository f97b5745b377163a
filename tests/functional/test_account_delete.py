import pytest
from sqlalchemy import text

from tests.functional.lab import Note
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    count,
    errors_beside,
    fill_in,
    greeting,
    is_cleared,
    path_of,
    session_cookie,
    sign_in,
    sign_up,
)

ADDRESS = "/account/delete"


def delete(app, password=PASSWORD):
    return fill_in(app.get(ADDRESS), ADDRESS, current_password=password)


def test_user_and_sessions_are_gone(app, db):
    sign_up(app)
    other, stranger = another(app), another(app)
    sign_in(other)
    sign_up(stranger, email="bo@example.com", name="Bo")

    answer = delete(app)

    assert answer.status_int == 303
    assert path_of(answer) == "/"
    assert is_cleared(session_cookie(answer))
    assert [greeting(browser) for browser in (app, other, stranger)] == [None, None, "Bo"]
    assert db.execute(text("SELECT name FROM users")).scalars().all() == ["Bo"]
    assert count(db, "sessions") == 1


def test_address_is_free_again(app):
    sign_up(app)
    delete(app)

    assert sign_in(app).status_int == 401
    assert sign_up(app).status_int == 303


def test_program_deletes_the_account(app, db):
    sign_up(app)

    app.post_json(ADDRESS, {"current_password": PASSWORD}, status=204)

    assert count(db, "users") == count(db, "sessions") == 0


@pytest.mark.parametrize("password", ["wrong", ""])
def test_not_without_the_password(app, db, password):
    sign_up(app)

    page = delete(app, password)

    assert page.status_int == 400
    assert list(errors_beside(page)) == ["current_password"]
    assert greeting(app) == NAME
    assert app.post_json(ADDRESS, {}, status=400).json["error"]["fields"]


def test_not_without_the_form_s_token(app, db):
    sign_up(app)

    app.post(ADDRESS, {"current_password": PASSWORD}, status=400)

    assert count(db, "users") == 1


def test_visitor_is_sent_to_sign_in(app):
    assert path_of(app.get(ADDRESS, status=303)) == "/sign-in?next=%2Faccount%2Fdelete"
    app.post_json(ADDRESS, {"current_password": PASSWORD}, status=401)


def test_page_says_what_will_be_deleted(app):
    sign_up(app)

    page = app.get(ADDRESS, status=200)

    assert EMAIL in page.html.main.get_text()
    assert app.get(ADDRESS, headers=JSON).json["csrf_token"]


def test_all_of_it_or_nothing(lab_app, db, view):
    sign_up(lab_app)

    def act(request):
        request.accounts.delete(request.identity.id, PASSWORD)
        request.session.invalidate()
        request.dbsession.add_all([Note(text="same"), Note(text="same")])
        return {}

    lab_app.get(view(act), status=500)

    assert greeting(lab_app) == NAME
