from tests.functional.support import (
    JSON,
    NAME,
    another,
    cookies_set,
    count,
    csrf_token,
    fill_in,
    greeting,
    is_cleared,
    path_of,
    session_cookie,
    sign_in,
    sign_out,
    sign_up,
    with_cookie,
)


def test_signing_out_ends_the_session_and_clears_the_cookie(app, db):
    cookie = session_cookie(sign_up(app))

    answer = sign_out(app)

    assert answer.status_int == 303
    assert path_of(answer) == "/"
    cleared = session_cookie(answer)
    assert is_cleared(cleared)
    for attribute in ("path", "domain", "secure", "httponly", "samesite"):
        assert cleared[attribute] == cookie[attribute], attribute
    assert count(db, "sessions") == 0
    assert greeting(app) is None


def test_cookie_of_an_ended_session_is_dead(app, db):
    cookie = session_cookie(sign_up(app)).value
    sign_out(app)

    thief = another(app)
    answer = thief.get("/account", headers=with_cookie(cookie), status=303)

    assert is_cleared(session_cookie(answer))
    assert count(db, "sessions") == 0


def test_other_sessions_of_the_person_go_on(app, db):
    sign_up(app)
    phone = another(app)
    sign_in(phone)

    sign_out(app)

    assert greeting(app) is None
    assert greeting(phone) == NAME
    assert count(db, "sessions") == 1


def test_signing_out_again_is_no_error(app, db):
    cookie = session_cookie(sign_up(app)).value
    page = app.get("/")
    sign_out(app)

    # In a window that was left open, whose form has a token that is dead by now.
    answer = fill_in(page, "/sign-out")
    assert answer.status_int == 303
    assert path_of(answer) == "/"

    # With the cookie that was cleared.
    answer = another(app).post("/sign-out", headers=with_cookie(cookie), status=303)
    assert is_cleared(session_cookie(answer))

    # And without any.
    answer = another(app).post("/sign-out", status=303)
    assert cookies_set(answer) == []
    assert count(db, "sessions") == 0


def test_visitor_who_signs_out_keeps_no_cookie(app, db):
    app.get("/sign-in")

    answer = app.post("/sign-out", status=303)

    assert is_cleared(session_cookie(answer))
    assert count(db, "sessions") == 0


def test_program_signs_out(app, db):
    sign_up(app)

    answer = app.post_json("/sign-out", {}, status=204)

    assert answer.body == b""
    assert is_cleared(session_cookie(answer))
    assert count(db, "sessions") == 0
    app.post_json("/sign-out", {}, status=204)


def test_form_with_a_json_answer_signs_out(app, db):
    sign_up(app)

    app.post("/sign-out", {"csrf_token": csrf_token(app.get("/"))}, headers=JSON, status=204)

    assert count(db, "sessions") == 0


def test_getting_the_address_changes_nothing(app):
    sign_up(app)

    for method in (app.get, app.head, app.options):
        answer = method("/sign-out", status=405)
        assert answer.headers["Allow"] == "POST"
        assert cookies_set(answer) == []
    assert greeting(app) == NAME


def test_every_page_of_a_person_who_is_signed_in_has_the_form(app):
    sign_up(app)

    for path in ("/", "/account"):
        forms = app.get(path).html.find_all("form", action="/sign-out", method="post")
        assert len(forms) == 1, path


def test_sign_out_and_sign_in_again(app, db):
    sign_up(app)
    sign_out(app)

    assert sign_in(app).status_int == 303
    assert greeting(app) == NAME
    assert count(db, "sessions") == 1
