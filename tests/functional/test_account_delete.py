from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from tests.functional.lab import Note
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    cookies_set,
    count,
    errors_beside,
    events,
    fill_in,
    forget_the_past,
    greeting,
    is_cleared,
    is_farewell,
    letters,
    path_of,
    session_cookie,
    sign_in,
    sign_up,
)
from tests.functional.waiting import wait_until_blocked

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


def test_the_next_page_says_so_once(app):
    sign_up(app)
    answer = delete(app)
    [farewell] = [cookie for cookie in cookies_set(answer) if is_farewell(cookie)]
    assert farewell["httponly"]
    assert farewell["max-age"] == "60"

    page = answer.follow(status=200)

    message = page.html.find(class_="message")
    assert message.get_text() == "Your account and all that belongs to it have been deleted."
    assert page.headers["Cache-Control"] == "no-store"
    assert "Cookie" in page.headers["Vary"]
    assert [is_cleared(c) for c in cookies_set(page) if is_farewell(c)] == [True]
    assert app.get("/").html.find(class_="message") is None


def test_where_nothing_was_deleted_nobody_is_told_so(app):
    sign_up(app)

    refused = delete(app, password="not the password")
    program = app.post_json(ADDRESS, {"current_password": PASSWORD}, status=204)

    assert not [c for answer in (refused, program) for c in cookies_set(answer) if is_farewell(c)]
    assert another(app).get("/").html.find(class_="message") is None
    forged = another(app).get("/", headers={"Cookie": "farewell=<b>x</b>"})
    assert forged.html.find(class_="message") is None


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


def test_row_that_says_so_names_the_account_and_nothing_else_of_the_person(app, db):
    sign_up(app)
    db.execute(text("DELETE FROM security_events"))
    user_id = db.execute(text("SELECT id FROM users")).scalar_one()

    delete(app)

    [row] = db.execute(text("SELECT * FROM security_events")).all()
    assert (row.kind, row.user_id, row.by_id) == ("deleted", None, None)
    assert (row.address, row.user_agent, row.details) == (None, None, {"id": str(user_id)})


def test_of_two_at_once_one_deletes_and_the_other_finds_nobody(app, db):
    sign_up(app)
    other = another(app)
    sign_in(other)
    forget_the_past(db)
    pages = [browser.get(ADDRESS) for browser in (app, other)]

    with ThreadPoolExecutor(2) as threads:
        with db.engine.begin() as holder:
            # It keeps nobody from looking at the account, but all from deleting it.
            holder.execute(text("SELECT FROM users FOR KEY SHARE"))
            answers = [
                threads.submit(fill_in, page, ADDRESS, current_password=PASSWORD) for page in pages
            ]
            wait_until_blocked(db, 2)
        paths = [path_of(answer.result()) for answer in answers]

    assert sorted(paths) == ["/", "/sign-in?next=%2Faccount"]
    assert events(db) == ["deleted"]
    assert letters(db) == [("account_deleted", EMAIL)]


def test_all_of_it_or_nothing(lab_app, db, view):
    sign_up(lab_app)

    def act(request):
        request.services.accounts.delete(request.identity.id, PASSWORD)
        request.session.invalidate()
        request.dbsession.add_all([Note(text="same"), Note(text="same")])
        return {}

    lab_app.get(view(act), status=500)

    assert greeting(lab_app) == NAME
