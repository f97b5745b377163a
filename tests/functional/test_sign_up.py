import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
import webtest
from sqlalchemy import event, text

from authapp.repositories import ENGINE
from tests.conftest import make_app
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    THIRTY_DAYS,
    another,
    count,
    csrf_token,
    errors_beside,
    fill_in,
    form_to,
    greeting,
    path_of,
    session_cookie,
    shown_values,
    sign_in,
    sign_up,
    the_session,
)


def test_form_asks_for_name_email_and_password(app):
    page = app.get("/sign-up", status=200)

    types = {i["name"]: i["type"] for i in page.html.main.find_all("input")}
    assert types == {
        "csrf_token": "hidden",
        "name": "text",
        "email": "email",
        "password": "password",
    }


def test_signing_up_makes_an_account_and_signs_in(app, db):
    answer = sign_up(app)

    assert answer.status_int == 303
    assert path_of(answer) == "/account"
    assert greeting(app) == NAME
    user = db.execute(text("SELECT * FROM users")).one()
    assert isinstance(user.id, UUID)
    assert (user.name, user.email, user.role, user.status) == (NAME, EMAIL, "member", "active")
    assert the_session(db).user_id == user.id


def test_password_is_stored_as_a_bcrypt_hash_only(app, db):
    sign_up(app)

    [stored] = db.execute(text("SELECT password_hash FROM users")).scalars()
    assert stored.startswith("$2b$04$")
    assert PASSWORD not in stored


def test_session_lasts_thirty_days(app, db):
    cookie = session_cookie(sign_up(app))

    assert cookie["max-age"] == str(THIRTY_DAYS)
    session = the_session(db)
    assert (session.expires_at - session.created_at).total_seconds() == THIRTY_DAYS


def test_name_and_email_are_trimmed(app, db):
    sign_up(app, name="  Ada \t", email="\n ada@example.com ")

    assert db.execute(text("SELECT name, email FROM users")).one() == ("Ada", "ada@example.com")


def test_password_is_taken_exactly_as_it_is(app):
    password = "  pass phrase with spaces  "
    sign_up(app, password=password)

    assert sign_in(another(app), password=password.strip()).status_int == 401
    assert sign_in(another(app), password=password).status_int == 303


@pytest.mark.parametrize(
    "password",
    ["p" * 72 + "x", "p" * 256, "\N{GRINNING FACE}" * 64, "\N{GRINNING FACE}" * 256, "пароль" * 13],
)
def test_long_password_works_and_is_verified_to_its_end(app, password):
    assert sign_up(app, password=password).status_int == 303

    assert sign_in(another(app), password=password[:-1]).status_int == 401
    assert sign_in(another(app), password=password[:-1] + "!").status_int == 401
    assert sign_in(another(app), password=password).status_int == 303


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "   "}, "This field is required."),
        ({"name": "n" * 101}, "Use at most 100 characters."),
        ({"name": "a\nb"}, "This contains characters that cannot be used here."),
        ({"name": "a\0b"}, "This contains characters that cannot be used here."),
        ({"email": ""}, "This field is required."),
        ({"email": "ada"}, "This is not an email address."),
        ({"email": "ada@"}, "This is not an email address."),
        ({"email": "ada@exa mple.com"}, "This is not an email address."),
        ({"email": "a@b@example.com"}, "This is not an email address."),
        ({"email": "a" * 255 + "@example.com"}, "Use at most 254 characters."),
        ({"email": "ada\0@example.com"}, "This contains characters that cannot be used here."),
        ({"password": ""}, "This field is required."),
        ({"password": "7chars!"}, "Use at least 8 characters."),
        ({"password": "p" * 257}, "Use at most 256 characters."),
        ({"password": "long enough\0"}, "This contains characters that cannot be used here."),
        ({"password": "password123"}, "This password is one of those that are guessed first."),
        ({"password": "zyxwvuts"}, "This is too easy to guess."),
        ({"password": "ada lovelace"}, "Your own name or address is too easy to guess."),
        ({"password": EMAIL}, "Your own name or address is too easy to guess."),
    ],
)
def test_wrong_field_is_refused_with_the_error_beside_it(app, db, changed, message):
    [field] = changed
    fields = {"name": NAME, "email": EMAIL, "password": PASSWORD} | changed

    page = fill_in(app.get("/sign-up"), "/sign-up", **fields)

    assert page.status_int == 400
    errors = errors_beside(page)
    assert list(errors) == [field]
    assert errors[field][0].startswith(message)
    assert count(db, "users") == 0
    assert count(db, "sessions") == 0

    answer = app.post_json("/sign-up", fields, status=400)
    assert answer.json["error"]["code"] == "invalid_input"
    assert answer.json["error"]["fields"] == errors


def test_all_wrong_fields_are_reported_at_once_also_on_top_of_the_form(app):
    page = sign_up(app, name="", email="ada", password="short")

    assert set(errors_beside(page)) == {"name", "email", "password"}
    links = page.html.find(attrs={"role": "alert"}).find_all("a")
    assert [a["href"] for a in links] == ["#name", "#email", "#password"]


def test_what_was_typed_is_shown_again_but_never_the_password(app):
    page = sign_up(app, name='Ada "the first"', email="not an address", password=PASSWORD)

    assert shown_values(page) == {
        "name": 'Ada "the first"',
        "email": "not an address",
        "password": "",
    }
    assert PASSWORD not in page


def test_form_can_be_corrected_and_sent_again(app, db):
    page = sign_up(app, password="short")

    answer = fill_in(page, "/sign-up", password=PASSWORD)

    assert answer.status_int == 303
    assert count(db, "users") == 1


@pytest.mark.parametrize("email", [EMAIL, EMAIL.upper(), f"  {EMAIL.title()} "])
def test_email_that_has_an_account_is_refused_without_regard_to_case(app, db, email):
    sign_up(app)

    page = sign_up(another(app), email=email)

    assert page.status_int == 400
    assert errors_beside(page) == {
        "email": ["There is already an account with this email address."]
    }
    assert count(db, "users") == 1
    assert count(db, "sessions") == 1


def test_letters_beyond_ascii_do_not_make_two_addresses_one(app, db):
    assert sign_up(app, email="ada@exam\N{LATIN SMALL LETTER DOTLESS I}ple.com").status_int == 303
    assert sign_up(another(app), email="ada@examiple.com").status_int == 303
    assert sign_up(another(app), email="ADA@EXAMIPLE.COM").status_int == 400
    assert sign_up(another(app), email="mi\N{KELVIN SIGN}e@example.com").status_int == 303
    assert sign_up(another(app), email="mike@example.com").status_int == 303
    assert count(db, "users") == 4


@pytest.mark.parametrize("spelling", [str, str.upper])
def test_two_at_once_with_one_email_make_one_account_and_one_field_error(
    wsgi_app, app, db, spelling
):
    # Both have looked whatever there is to look at before either writes.
    meeting = threading.Barrier(2, timeout=10)

    def wait(_connection, _cursor, statement, *_others):
        if statement.startswith("INSERT INTO users"):
            meeting.wait()

    browsers = [another(app), another(app)]
    fields = [
        {"name": NAME, "email": email, "password": PASSWORD, "csrf_token": csrf_token(page)}
        for email, page in [
            (EMAIL, browsers[0].get("/sign-up")),
            (spelling(EMAIL), browsers[1].get("/sign-up")),
        ]
    ]
    event.listen(wsgi_app.registry[ENGINE], "before_cursor_execute", wait)
    try:
        with ThreadPoolExecutor(2) as pool:
            answers = list(
                pool.map(lambda b, f: b.post("/sign-up", f, status="*"), browsers, fields)
            )
    finally:
        event.remove(wsgi_app.registry[ENGINE], "before_cursor_execute", wait)

    assert sorted(a.status_int for a in answers) == [303, 400]
    [loser] = [a for a in answers if a.status_int == 400]
    assert list(errors_beside(loser)) == ["email"]
    assert count(db, "users") == 1
    assert count(db, "sessions") == 1
    assert sorted(str(greeting(b)) for b in browsers) == [NAME, "None"]


def test_program_signs_up(app, db):
    answer = app.post_json(
        "/sign-up", {"name": NAME, "email": EMAIL, "password": PASSWORD}, status=201
    )

    user = db.execute(text("SELECT * FROM users")).one()
    assert answer.json == {
        "user": {"id": str(user.id), "name": NAME, "email": EMAIL, "role": "member"}
    }
    assert greeting(app) == NAME


def test_role_and_status_cannot_be_chosen(app, db):
    page = app.get("/sign-up")
    fields = {"name": NAME, "email": EMAIL, "password": PASSWORD, "role": "admin", "id": "1"}
    app.post("/sign-up", {**fields, "csrf_token": csrf_token(page)}, status=303)

    assert db.execute(text("SELECT role FROM users")).scalars().all() == ["member"]


def test_fields_are_read_from_the_body_only(app, db):
    page = app.get("/sign-up")
    address = f"/sign-up?name=Ada&email={EMAIL}&password=correct+horse+battery"

    answer = app.post(address, {"csrf_token": csrf_token(page)}, status=400)

    assert set(errors_beside(answer)) == {"name", "email", "password"}
    assert count(db, "users") == 0


def test_person_who_is_signed_in_is_sent_to_the_account(app):
    sign_up(app)

    answer = app.get("/sign-up", status=303)

    assert path_of(answer) == "/account"


def test_second_account_in_one_browser_ends_the_session_of_the_first(app, db):
    token = app.get("/sign-up")
    sign_up(app)
    first = the_session(db)

    page = app.get("/account")
    app.post(
        "/sign-up",
        {
            "name": "Bob",
            "email": "bob@example.com",
            "password": PASSWORD,
            "csrf_token": csrf_token(page),
        },
        status=303,
    )

    assert greeting(app) == "Bob"
    second = the_session(db)
    assert second.id != first.id
    assert csrf_token(token) != csrf_token(app.get("/account"))


@pytest.fixture(scope="module")
def closed_wsgi_app(migrated_url):
    wsgi_app = make_app(migrated_url, registration__enabled="false")
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


@pytest.fixture
def closed_app(closed_wsgi_app, db):
    return webtest.TestApp(closed_wsgi_app, extra_environ={"HTTP_HOST": "localhost:6543"})


def test_nobody_signs_up_where_registration_is_closed(closed_app, db):
    closed_app.get("/sign-up", status=404)
    fields = {"name": NAME, "email": EMAIL, "password": PASSWORD}
    assert closed_app.post_json("/sign-up", fields, status=404).json["error"]["code"] == "not_found"
    assert count(db, "users") == 0


def test_nobody_is_asked_to_sign_up_where_registration_is_closed(closed_app):
    for path in ("/", "/sign-in"):
        assert "/sign-up" not in closed_app.get(path)


def test_accounts_go_on_where_registration_is_closed(app, closed_app):
    sign_up(app)
    assert sign_in(closed_app).status_int == 303


def test_json_get_gives_the_token_that_a_form_needs(app, db):
    token = app.get("/sign-up", headers=JSON, status=200).json["csrf_token"]

    fields = {"name": NAME, "email": EMAIL, "password": PASSWORD, "csrf_token": token}
    app.post("/sign-up", fields, status=303)

    assert count(db, "users") == 1


def test_form_works_without_javascript(app):
    form = form_to(app.get("/sign-up"), "/sign-up")
    assert form.method.lower() == "post"
    assert form.enctype == "application/x-www-form-urlencoded"
