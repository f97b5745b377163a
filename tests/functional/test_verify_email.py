from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from authapp.domain.tokens import Purpose
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    count,
    csrf_token,
    events,
    failing_commits,
    fill_in,
    forget_the_past,
    greeting,
    id_of,
    is_refused,
    letters,
    path_of,
    sign_out,
    sign_up,
    state,
    token_for,
)
from tests.functional.waiting import wait_until_blocked

PAGE = "verify-email"
AGAIN = "/verify-email"


def verify(app, token):
    address = f"/{PAGE}/{token}"
    return fill_in(app.get(address), address)


def is_verified(db):
    return db.execute(text("SELECT email_verified_at FROM users")).scalar_one() is not None


@pytest.fixture
def ada(app, db):
    sign_up(app)
    forget_the_past(db)
    return id_of(db)


@pytest.fixture
def token(ada, db):
    return token_for(db, ada, Purpose.VERIFY_EMAIL)


def test_sign_up_posts_a_letter_to_the_address(app, db):
    sign_up(app)

    assert letters(db) == [("verify_email", EMAIL)]
    assert not is_verified(db)


def test_page_asks_whether_the_address_is_one_s_own(app, token):
    page = another(app).get(f"/{PAGE}/{token}", status=200)

    assert page.html.main.strong.get_text() == EMAIL
    assert page.html.main.form.button.get_text() == "Yes, it is mine"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_the_page_verifies_nothing(app, token, db, method):
    before = state(db)

    for _ in range(3):
        another(app).request(f"/{PAGE}/{token}", method=method, status=200)

    assert state(db) == before


def test_person_who_is_signed_in_goes_on_to_the_account(app, token, db):
    answer = verify(app, token)

    assert answer.status_int == 303
    assert path_of(answer) == "/account"
    page = answer.follow()
    assert f"{EMAIL} has been verified as your email address." in page
    assert "Not verified" not in page
    assert is_verified(db)
    assert events(db) == ["email_verified"]


def test_visitor_goes_on_to_sign_in_and_is_not_signed_in_by_it(app, token, db):
    browser = another(app)

    answer = verify(browser, token)

    assert path_of(answer) == "/sign-in"
    assert "has been verified" in answer.follow()
    assert greeting(browser) is None
    assert is_verified(db)


def test_program_verifies_it(app, token, db):
    assert app.get(f"/{PAGE}/{token}", headers=JSON).json["csrf_token"]

    assert another(app).post_json(f"/{PAGE}/{token}", {}, status=204).body == b""

    assert is_verified(db)


def test_sessions_and_other_tokens_go_on(app, token, ada, db):
    other = token_for(db, ada, Purpose.RESET_PASSWORD)

    verify(another(app), token)

    assert greeting(app) == NAME
    app.get(f"/reset-password/{other}", status=200)


def test_letters_and_links_for_the_same_are_void(app, token, ada, db):
    other = token_for(db, ada, Purpose.VERIFY_EMAIL)
    app.post_json(AGAIN, {}, status=204)

    verify(app, token)

    assert letters(db) == []
    assert is_refused(app, db, other, PAGE)


def test_not_without_the_form_s_token(app, token, db):
    app.post(f"/{PAGE}/{token}", status=400)

    assert not is_verified(db)


def test_used_token_says_so_and_leads_to_a_new_one(app, token, db):
    verify(app, token)

    assert is_refused(app, db, token, PAGE)
    page = app.get(f"/{PAGE}/{token}", status=400)
    assert page.click("for a new link").request.path == "/account"


def test_token_that_has_expired(app, ada, db):
    expired = token_for(db, ada, Purpose.VERIFY_EMAIL, lifetime=timedelta(0))

    assert is_refused(app, db, expired, PAGE)


def test_token_for_another_address_than_today_s(app, ada, db):
    other = token_for(db, ada, Purpose.VERIFY_EMAIL, email="old@example.com")

    assert is_refused(app, db, other, PAGE)


def test_token_for_something_else(app, ada, db):
    assert is_refused(app, db, token_for(db, ada, Purpose.RESET_PASSWORD), PAGE)


def test_token_of_somebody_who_is_disabled(app, token, db):
    db.execute(text("UPDATE users SET status = 'disabled'"))

    assert is_refused(app, db, token, PAGE)


def test_token_is_void_once_the_password_was_changed(app, token, db):
    fields = {"current_password": PASSWORD, "new_password": "quite another password"}
    app.post_json("/account/password", fields, status=204)

    assert is_refused(app, db, token, PAGE)


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
    assert events(db) == ["email_verified"]


def test_commit_that_fails_verifies_nothing_and_leaves_the_token_good(app, token, db):
    before = state(db)
    browser = another(app)
    page = browser.get(f"/{PAGE}/{token}")

    with failing_commits(db, "users"):
        assert fill_in(page, f"/{PAGE}/{token}").status_int == 500

    assert state(db) == before
    assert verify(browser, token).status_int == 303


# Asking for another letter.


def test_account_page_says_that_the_address_is_not_verified_and_offers_a_letter(app, ada, db):
    page = app.get("/account")
    assert "Not verified" in page

    answer = fill_in(page, AGAIN)

    assert path_of(answer) == "/account"
    assert f"An email is on its way to {EMAIL}." in answer.follow()
    assert letters(db) == [("verify_email", EMAIL)]
    params = db.execute(text("SELECT params FROM outbox")).scalar_one()
    assert (params["name"], params["email"]) == (NAME, EMAIL)
    assert params["at"]


def test_program_asks_for_another_letter(app, ada, db):
    app.post_json(AGAIN, {}, status=204)
    app.post_json(AGAIN, {}, status=204)

    assert letters(db) == [("verify_email", EMAIL)]  # The one that waited is replaced.


def test_address_that_is_verified_needs_none(app, token, db):
    verify(app, token)
    page = app.get("/account")
    assert [form.action for form in page.forms.values() if form.action == AGAIN] == []

    answer = app.post(AGAIN, {"csrf_token": csrf_token(page)}, status=303)

    assert "Your email address has been verified already." in answer.follow()
    assert letters(db) == []


def test_letters_are_throttled(app, ada, db):
    for _ in range(10):
        app.post_json(AGAIN, {}, status=204)

    answer = app.post_json(AGAIN, {}, status=429)
    fields = {"csrf_token": csrf_token(app.get("/account"))}
    referrer = {"Referer": "http://localhost:6543/account/activity"}
    page = app.post(AGAIN, fields, headers=referrer, status=429)

    assert int(answer.headers["Retry-After"]) > 0
    assert page.html.main.find("a", string="Back to the page")["href"] == "/account/activity"
    assert count(db, "outbox") == 1
    assert events(db) == ["throttled"]


def test_visitor_is_sent_to_sign_in(app, ada, db):
    sign_out(app)
    page = app.get("/sign-in")

    answer = app.post(AGAIN, {"csrf_token": csrf_token(page)}, status=303)

    assert path_of(answer) == "/sign-in?next=%2Faccount"
    assert app.post_json(AGAIN, {}, status=401).json["error"]["code"] == "unauthenticated"
    assert letters(db) == []


def test_address_without_a_token_is_for_posting_only(app):
    assert app.get(AGAIN, status=405).headers["Allow"] == "POST"


def test_not_without_the_token_of_the_form(app, ada, db):
    app.post(AGAIN, status=400)

    assert letters(db) == []
