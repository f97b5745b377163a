import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from authapp.domain.tokens import Purpose
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    alert,
    another,
    cookies_set,
    count,
    errors_beside,
    events,
    failing_commits,
    fill_in,
    forget_the_past,
    greeting,
    id_of,
    is_refused,
    letters,
    path_of,
    shown_values,
    sign_in,
    sign_up,
    state,
    token_for,
)
from tests.functional.waiting import wait_until_blocked

ADDRESS = "/account/email"
PAGE = "verify-email"
NEW = "ada@new.example.com"
WRONG = {"current_password": ["This is not your current password."]}


def ask(app, email=NEW, password=PASSWORD):
    return fill_in(app.get(ADDRESS), ADDRESS, email=email, current_password=password)


def confirm(app, token):
    address = f"/{PAGE}/{token}"
    return fill_in(app.get(address), address)


def address_of(db, user_id):
    return db.execute(text("SELECT email FROM users WHERE id = :id"), {"id": user_id}).scalar_one()


@pytest.fixture
def ada(app, db):
    sign_up(app)
    forget_the_past(db)
    return id_of(db)


@pytest.fixture
def token(ada, db):
    return token_for(db, ada, Purpose.CHANGE_EMAIL, NEW)


# Asking for it.


def test_account_page_leads_to_it(app, ada):
    assert app.get("/account").click("Change your email address").request.path == ADDRESS


def test_new_address_gets_a_link_and_the_old_one_a_notice(app, ada, db):
    answer = ask(app, f" {NEW} ")

    assert answer.status_int == 303
    assert path_of(answer) == "/account"
    assert f"An email is on its way to {NEW}." in answer.follow()
    assert letters(db) == [("change_email", NEW), ("email_change_requested", EMAIL)]
    for params in db.execute(text("SELECT params FROM outbox")).scalars():
        assert (params["name"], params["email"], params["new_email"]) == (NAME, EMAIL, NEW)
        assert params["at"]
    assert events(db) == ["email_change_requested"]
    assert address_of(db, ada) == EMAIL


def test_program_asks_for_it(app, ada, db):
    assert app.get(ADDRESS, headers=JSON).json["csrf_token"]

    app.post_json(ADDRESS, {"email": NEW, "current_password": PASSWORD}, status=202)

    assert ("change_email", NEW) in letters(db)


def test_second_request_makes_the_first_one_void(app, ada, token, db):
    ask(app, "first@example.com")

    ask(app, "second@example.com")

    assert dict(letters(db))["change_email"] == "second@example.com"
    assert [kind for kind, _ in letters(db)].count("change_email") == 1
    assert is_refused(app, db, token, PAGE)


@pytest.mark.parametrize(
    ("email", "password", "errors"),
    [
        (NEW, "wrong", WRONG),
        ("not an address", PASSWORD, "This is not an email address."),
        ("", PASSWORD, "This field is required."),
        (f"{'a' * 250}@example.com", PASSWORD, "Use at most 254 characters."),
        ("a\u202e@example.com", PASSWORD, "This contains characters that cannot be used here."),
        (EMAIL, PASSWORD, "This is your email address already."),
        (EMAIL.upper(), PASSWORD, "This is your email address already."),
        ("bo@example.com", PASSWORD, "There is already an account with this email address."),
        ("BO@example.com", PASSWORD, "There is already an account with this email address."),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_changes(
    app, ada, db, email, password, errors
):
    sign_up(another(app), email="bo@example.com", name="Bo")
    forget_the_past(db)
    before = state(db)

    page = ask(app, email, password)

    assert page.status_int == 400
    found = errors_beside(page)
    if errors == WRONG:
        assert found == WRONG
    else:
        assert list(found) == ["email"]
        assert found["email"][0].startswith(errors)
    shown = {"email": email, "username": EMAIL, "current_password": ""}
    assert shown_values(page) == shown
    body = {"email": email, "current_password": password}
    answer = app.post_json(ADDRESS, body, status=400)
    assert answer.json["error"]["fields"] == found
    assert {**state(db), "security_events": []} == before


def test_all_that_is_wrong_is_said_at_once(app, ada):
    assert set(errors_beside(ask(app, "", ""))) == {"email", "current_password"}


def test_whether_an_address_is_taken_is_not_told_without_the_password(app, ada):
    sign_up(another(app), email="bo@example.com", name="Bo")

    assert errors_beside(ask(app, "bo@example.com", "wrong")) == WRONG


def test_letters_are_throttled(app, ada, db):
    fields = {"email": NEW, "current_password": PASSWORD}
    for _ in range(10):
        app.post_json(ADDRESS, fields, status=202)
    forget_the_past(db)

    answer = app.post_json(ADDRESS, fields, status=429)

    assert answer.json["error"]["code"] == "too_many_attempts"
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert letters(db) == []
    assert events(db) == ["throttled"]


@pytest.mark.parametrize("password", [PASSWORD, "wrong password"], ids=["letters", "passwords"])
def test_form_is_kept_where_there_were_too_many_attempts(app, ada, db, password):
    for _ in range(10):
        app.post_json(ADDRESS, {"email": NEW, "current_password": password}, status="*")
    forget_the_past(db)

    page = ask(app, f"again-{NEW}")

    assert page.status_int == 429
    assert 0 < int(page.headers["Retry-After"]) <= 15 * 60
    assert alert(page) == "Too many attempts. Wait 15 minutes, then try again."
    assert page.html.title.get_text().startswith("Error: ")
    shown = {"email": f"again-{NEW}", "username": EMAIL, "current_password": ""}
    assert shown_values(page) == shown
    assert errors_beside(page) == {}
    assert letters(db) == []
    db.execute(text("DELETE FROM throttles"))
    again = fill_in(page, ADDRESS, current_password=PASSWORD)
    assert path_of(again) == "/account"
    assert ("change_email", f"again-{NEW}") in letters(db)


def test_not_without_the_form_s_token(app, ada, db):
    app.post(ADDRESS, {"email": NEW, "current_password": PASSWORD}, status=400)

    assert letters(db) == []


def test_visitor_is_sent_to_sign_in(app):
    assert path_of(app.get(ADDRESS, status=303)) == "/sign-in?next=%2Faccount%2Femail"
    app.post_json(ADDRESS, {"email": NEW, "current_password": PASSWORD}, status=401)


def test_request_under_way_with_the_old_password_does_not_slip_in(lab_app, db, view):
    """The password was verified before it was changed."""
    sign_up(lab_app)
    other = another(lab_app)
    sign_in(other)
    verified, changed = threading.Event(), threading.Event()

    def slow_request(request):
        by_email = request.services._users.by_email

        def wait(email):
            verified.set()
            changed.wait(10)
            return by_email(email)

        request.services._users.by_email = wait
        request.services.emails.request_change(request.identity.id, NEW, PASSWORD)
        return {}

    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(other.get, view(slow_request), status="*")
        assert verified.wait(10)
        fields = {"current_password": PASSWORD, "new_password": "quite another password"}
        lab_app.post_json("/account/password", fields, status=204)
        changed.set()
        assert slow.result().status_int == 500  # The lab has no form to say it beside a field.

    assert "change_email" not in dict(letters(db))


def test_commit_that_fails_posts_nothing(app, ada, token, db):
    before = state(db)
    page = app.get(ADDRESS)

    with failing_commits(db, "outbox"):
        assert fill_in(page, ADDRESS, email=NEW, current_password=PASSWORD).status_int == 500

    assert state(db) == before


# Confirming it.


def test_link_completes_it(app, ada, token, db):
    answer = confirm(app, token)

    assert path_of(answer) == "/account"
    page = answer.follow()
    assert f"{NEW} has been verified as your email address." in page
    assert "Not verified" not in page
    assert address_of(db, ada) == NEW
    assert events(db) == ["email_changed"]
    assert letters(db) == [("email_changed", EMAIL)]
    assert sign_in(another(app), email=EMAIL).status_int == 401
    assert sign_in(another(app), email=NEW).status_int == 303


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_the_page_changes_nothing(app, token, db, method):
    before = state(db)

    page = another(app).request(f"/{PAGE}/{token}", method=method, status=200)

    if method == "GET":
        assert page.html.main.strong.get_text() == NEW
        said = " ".join(page.html.main.get_text().split())
        assert f"the place of {EMAIL} in the account of {NAME}" in said
    assert state(db) == before


def test_program_completes_it(app, ada, token, db):
    another(app).post_json(f"/{PAGE}/{token}", {}, status=204)

    assert address_of(db, ada) == NEW


def test_session_that_confirms_goes_on_under_a_new_token_and_all_others_end(app, token, db):
    laptop, stranger = another(app), another(app)
    sign_in(laptop)
    sign_up(stranger, email="bo@example.com", name="Bo")
    old = app.cookies["session"]

    confirm(app, token)

    assert [greeting(browser) for browser in (app, laptop, stranger)] == [NAME, None, "Bo"]
    thief = another(app)
    thief.set_cookie("session", old)
    assert greeting(thief) is None


def test_browser_that_is_not_signed_in_ends_them_all_and_is_not_signed_in_by_it(app, token, db):
    browser = another(app)

    answer = confirm(browser, token)

    assert path_of(answer) == "/sign-in"
    assert greeting(browser) is None
    assert greeting(app) is None


def test_somebody_else_who_confirms_stays_who_they_are(app, ada, token, db):
    other = another(app)
    sign_up(other, email="bo@example.com", name="Bo")

    confirm(other, token)

    assert greeting(other) == "Bo"
    assert greeting(app) is None
    assert address_of(db, ada) == NEW


def test_all_earlier_tokens_are_void(app, ada, token, db):
    reset = token_for(db, ada, Purpose.RESET_PASSWORD)
    verify = token_for(db, ada, Purpose.VERIFY_EMAIL)

    confirm(app, token)

    assert is_refused(app, db, token, PAGE)
    assert is_refused(app, db, verify, PAGE)
    assert is_refused(app, db, reset, "reset-password")
    assert count(db, "tokens") == 0


def test_address_that_was_taken_meanwhile_says_so_and_nothing_changes(app, token, db):
    sign_up(another(app), email=NEW.upper(), name="Bo")
    before = state(db)

    page = confirm(app, token)

    assert page.status_int == 400
    assert page.html.h1.get_text() == "This email address is taken by now"
    answer = app.post_json(f"/{PAGE}/{token}", {}, status=400)
    assert answer.json["error"]["code"] == "email_taken"
    assert state(db) == before


@pytest.mark.parametrize("signs_up", [True, False], ids=["sign-up wins", "it is given up"])
def test_address_that_is_being_signed_up_at_this_moment(app, ada, token, db, signs_up):
    address = f"/{PAGE}/{token}"
    page = app.get(address)
    insert = text("INSERT INTO users (name, email, password_hash) VALUES ('Bo', :email, '!')")

    with ThreadPoolExecutor(1) as threads:
        with db.engine.connect() as other:
            other.execute(insert, {"email": NEW})
            answer = threads.submit(fill_in, page, address)
            wait_until_blocked(db)
            if signs_up:
                other.commit()
            else:
                other.rollback()
        status = answer.result().status_int

    assert status == (400 if signs_up else 303)
    assert address_of(db, ada) == (EMAIL if signs_up else NEW)
    assert count(db, "tokens") == int(signs_up)
    assert greeting(app) == NAME


def test_two_who_want_one_address_at_once(app, ada, token, db):
    other = another(app)
    sign_up(other, email="bo@example.com", name="Bo")
    bo = id_of(db, "bo@example.com")
    addresses = [f"/{PAGE}/{t}" for t in (token, token_for(db, bo, Purpose.CHANGE_EMAIL, NEW))]
    pages = [browser.get(address) for browser, address in zip((app, other), addresses, strict=True)]

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(fill_in, pages, addresses))

    assert sorted(answer.status_int for answer in answers) == [303, 400]
    assert [address_of(db, user) for user in (ada, bo)].count(NEW) == 1


def test_of_two_uses_at_once_one_wins(app, token, db):
    address = f"/{PAGE}/{token}"
    pages = [another(app).get(address) for _ in range(2)]

    with ThreadPoolExecutor(2) as threads:
        with db.engine.begin() as holder:
            holder.execute(text("SELECT FROM users FOR UPDATE"))
            answers = [threads.submit(fill_in, page, address) for page in pages]
            wait_until_blocked(db, 2)
        statuses = [answer.result().status_int for answer in answers]

    assert sorted(statuses) == [303, 400]
    assert events(db) == ["email_changed", "sessions_revoked"]


def test_change_and_reset_at_once_end_in_one_of_the_two(app, ada, token, db):
    reset = token_for(db, ada, Purpose.RESET_PASSWORD)
    addresses = [f"/{PAGE}/{token}", f"/reset-password/{reset}"]
    pages = [another(app).get(address) for address in addresses]

    with ThreadPoolExecutor(2) as threads:
        with db.engine.begin() as holder:
            holder.execute(text("SELECT FROM users FOR UPDATE"))
            answers = [
                threads.submit(fill_in, pages[0], addresses[0]),
                threads.submit(fill_in, pages[1], addresses[1], new_password="quite another one"),
            ]
            wait_until_blocked(db, 2)
        statuses = [answer.result().status_int for answer in answers]

    assert sorted(statuses) == [303, 400]
    first = "email_changed" if statuses[0] == 303 else "password_reset"
    assert events(db)[0] == first
    assert {"email_changed", "password_reset"} & set(events(db)) == {first}


@pytest.mark.parametrize("how", ["the password changes", "it is disabled"])
def test_token_is_void_once_the_account_is_another(app, ada, token, db, how):
    if how == "it is disabled":
        db.execute(text("UPDATE users SET status = 'disabled'"))
    else:
        fields = {"current_password": PASSWORD, "new_password": "quite another password"}
        app.post_json("/account/password", fields, status=204)

    assert is_refused(app, db, token, PAGE)
    assert address_of(db, ada) == EMAIL


def test_change_of_the_password_takes_the_letter_back(app, ada, db):
    ask(app)

    fields = {"current_password": PASSWORD, "new_password": "quite another password"}
    app.post_json("/account/password", fields, status=204)

    assert "change_email" not in dict(letters(db))


@pytest.mark.parametrize("table", ["users", "security_events", "outbox"])
def test_commit_that_fails_leaves_address_token_and_sessions(app, ada, token, db, table):
    other = another(app)
    sign_in(other)
    page = app.get(f"/{PAGE}/{token}")
    before = state(db)

    with failing_commits(db, table):
        answer = fill_in(page, f"/{PAGE}/{token}")

    assert answer.status_int == 500
    assert cookies_set(answer) == []
    assert state(db) == before
    assert greeting(app) == greeting(other) == NAME
    assert confirm(app, token).status_int == 303
