import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import text

from authapp.security.recent import CONFIRMED_AT
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    another,
    csrf_token,
    errors_beside,
    fill_in,
    form_to,
    greeting,
    is_cleared,
    path_of,
    session_cookie,
    sign_in,
    sign_up,
    the_session,
)
from tests.functional.waiting import wait_until_blocked


def test_account_shows_who_one_is(app):
    sign_up(app)

    page = app.get("/account", status=200)

    facts = {dt.get_text(): dt.find_next("dd").get_text() for dt in page.html.find_all("dt")}
    assert facts["Role"] == "Member"
    assert page.html.find(string=EMAIL)
    assert form_to(page, "/account/profile")["name"].value == NAME


def test_program_reads_the_account(app, db):
    sign_up(app)

    answer = app.get("/account", headers=JSON, status=200)

    user_id = db.execute(text("SELECT id FROM users")).scalar_one()
    assert answer.json == {
        "user": {"id": str(user_id), "name": NAME, "email": EMAIL, "role": "member"}
    }


def test_visitor_is_sent_to_sign_in_and_back(app):
    sign_up(another(app))

    answer = app.get("/account", status=303)
    assert path_of(answer) == "/sign-in?next=%2Faccount"

    answer = fill_in(answer.follow(), "/sign-in", email=EMAIL, password="wrong password")
    answer = fill_in(answer, "/sign-in", password="correct horse battery staple")
    assert path_of(answer) == "/account"


def test_where_a_visitor_wanted_to_go_is_kept_with_its_query(app):
    answer = app.get("/account?tab=2&x=%26", status=303)

    assert path_of(answer) == "/sign-in?next=%2Faccount%3Ftab%3D2%26x%3D%2526"


def test_program_without_a_session_gets_401(app):
    for answer in (
        app.get("/account", headers=JSON, status=401),
        app.post_json("/account/profile", {"name": "New"}, status=401),
    ):
        assert answer.json["error"]["code"] == "unauthenticated"
        assert answer.json["error"]["fields"] == {}


def test_visitor_who_sends_the_form_is_sent_to_sign_in(app):
    token = csrf_token(app.get("/sign-in"))

    answer = app.post("/account/profile", {"name": "New", "csrf_token": token}, status=303)

    assert path_of(answer) == "/sign-in?next=%2Faccount"


def test_name_is_changed_and_said_so_once(app):
    sign_up(app)

    answer = fill_in(app.get("/account"), "/account/profile", name="  Countess Ada ")

    assert answer.status_int == 303
    assert path_of(answer) == "/account"
    page = answer.follow()
    assert page.html.find(attrs={"role": "status"}).get_text() == "Your name has been changed."
    assert form_to(page, "/account/profile")["name"].value == "Countess Ada"
    assert greeting(app) == "Countess Ada"
    assert not app.get("/account").html.find(attrs={"role": "status"})


def test_change_of_name_is_seen_in_other_sessions_at_once(app):
    sign_up(app)
    phone = another(app)
    sign_in(phone)

    fill_in(app.get("/account"), "/account/profile", name="Countess")

    assert greeting(phone) == "Countess"


def test_program_changes_the_name(app, db):
    sign_up(app)

    answer = app.post_json("/account/profile", {"name": "Countess"}, status=200)

    assert answer.json["user"]["name"] == "Countess"
    assert list(the_session(db).data) == [CONFIRMED_AT]


@pytest.mark.parametrize("name", ["", " \t", "n" * 101, "a\nb", "a\0b", "\x1b[31m"])
def test_wrong_name_is_refused_beside_its_field_and_changes_nothing(app, name):
    sign_up(app)

    page = app.post(
        "/account/profile",
        {"name": name, "csrf_token": csrf_token(app.get("/account"))},
        status=400,
    )

    assert list(errors_beside(page)) == ["name"]
    assert greeting(app) == NAME
    if name.isprintable():
        assert form_to(page, "/account/profile")["name"].value == name.strip()
    answer = app.post_json("/account/profile", {"name": name}, status=400)
    assert list(answer.json["error"]["fields"]) == ["name"]


def test_only_ones_own_name_can_be_changed(app, db):
    other = another(app)
    sign_up(other, email="bob@example.com", name="Bob")
    bob = other.get("/account", headers=JSON).json["user"]["id"]
    sign_up(app)

    app.post_json("/account/profile", {"name": "New", "id": bob, "user_id": bob}, status=200)

    assert greeting(other) == "Bob"
    assert greeting(app) == "New"


def test_profile_is_changed_by_post_only(app):
    sign_up(app)

    assert app.get("/account/profile", status=405).headers["Allow"] == "POST"
    assert "GET" in app.post_json("/account", {}, status=405).headers["Allow"]


def test_disabled_user_is_a_visitor_at_the_next_request(app, db):
    sign_up(app)
    db.execute(text("UPDATE users SET status = 'disabled'"))

    assert path_of(app.get("/account", status=303)) == "/sign-in?next=%2Faccount"
    assert app.get("/account", headers=JSON, status=401)
    assert greeting(app) is None
    assert sign_in(app).status_int == 401


def test_deleted_user_is_a_visitor_at_the_next_request(app, db):
    sign_up(app)
    db.execute(text("DELETE FROM users"))

    answer = app.get("/account", status=303)

    assert path_of(answer) == "/sign-in?next=%2Faccount"
    assert is_cleared(session_cookie(answer))
    assert greeting(app) is None


def test_change_of_role_holds_at_the_next_request(app, db):
    sign_up(app)
    db.execute(text("UPDATE users SET role = 'admin'"))

    assert app.get("/account", headers=JSON).json["user"]["role"] == "admin"
    assert "Administrator" in app.get("/account")


def test_user_who_is_deleted_while_the_name_is_changed_gets_no_500(app, db, engine):
    sign_up(app)

    with engine.connect() as deleting, ThreadPoolExecutor(1) as pool:
        deleting.execute(text("DELETE FROM users"))
        changing = pool.submit(app.post_json, "/account/profile", {"name": "New"}, status="*")
        wait_until_blocked(db)
        deleting.commit()
        answer = changing.result(timeout=10)

    assert answer.status_int == 401


def test_ids_are_random_uuids(app, db):
    for number in range(3):
        sign_up(another(app), email=f"{number}@example.com")

    ids = db.execute(text("SELECT id FROM users UNION SELECT id FROM sessions")).scalars().all()
    assert len(ids) == 6
    assert all(isinstance(i, UUID) and i.version == 4 for i in ids)


def test_two_tabs_that_change_the_name_at_once_both_succeed(app, db):
    sign_up(app)
    tabs = [another(app), another(app)]
    cookie = app.cookies["session"]
    meeting = threading.Barrier(2, timeout=10)

    def change(tab, name):
        meeting.wait()
        return tab.post_json(
            "/account/profile", {"name": name}, headers={"Cookie": f"session={cookie}"}
        )

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(change, tabs, ["One", "Two"]))

    assert [a.status_int for a in answers] == [200, 200]
    assert greeting(app) in {"One", "Two"}
