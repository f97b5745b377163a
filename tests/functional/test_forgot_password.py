import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import webtest
from sqlalchemy import text

from authapp.domain.tokens import Purpose, new_token
from authapp.repositories import ENGINE
from authapp.repositories.connections import BoundConnections
from authapp.repositories.tokens import SqlTokenRepository
from authapp.repositories.users import SqlUserRepository
from authapp.views.signing_in import visitor_of
from tests.conftest import make_app
from tests.functional.conftest import HOST
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    alert,
    another,
    call,
    cookies_set,
    count,
    csrf_token,
    errors_beside,
    events,
    failing_commits,
    fill_in,
    forget_the_past,
    form_to,
    greeting,
    id_of,
    is_cleared,
    is_refused,
    letters,
    path_of,
    session_cookie,
    shown_values,
    sign_in,
    sign_up,
    state,
    statements_on,
    token_for,
)
from tests.functional.waiting import wait_until_blocked
from tests.mailing import deliver, link_in

FORGOT = "/forgot-password"
PAGE = "reset-password"
NEW = "quite another password"
UNKNOWN = "nobody@example.com"
GARBLED = [
    *("x", "0", "x" * 43, "-" * 43, "x" * 42, "x" * 44, "f" * 5000),
    *("%00", "%2e%2e", "%F0%9F%92%A9" * 43, "'; DROP TABLE users; --", "a%0d%0ab"),
]


def ask(app, email=EMAIL):
    return fill_in(app.get(FORGOT), FORGOT, email=email)


def reset(app, token, new=NEW):
    address = f"/reset-password/{token}"
    return fill_in(app.get(address), address, new_password=new)


@pytest.fixture
def ada(app, db):
    """Somebody with an account, signed in, and no letters or events from before."""
    sign_up(app)
    forget_the_past(db)
    return id_of(db)


@pytest.fixture
def token(ada, db):
    return token_for(db, ada, Purpose.RESET_PASSWORD)


# Asking for a link.


def test_sign_in_page_leads_to_it(app):
    assert app.get("/sign-in").click("Forgot your password").request.path == FORGOT


def test_request_posts_a_letter_to_the_address(app, ada, db):
    page = ask(another(app, HTTP_USER_AGENT="Firefox", REMOTE_ADDR="192.0.2.7"), f"  {EMAIL} ")

    assert page.status_int == 200
    assert f"If there is an account with the address {EMAIL}" in " ".join(
        page.html.main.get_text().split()
    )
    assert letters(db) == [("reset_password", EMAIL)]
    params = db.execute(text("SELECT params FROM outbox")).scalar_one()
    assert (params["address"], params["user_agent"]) == ("192.0.2.7", "Firefox")
    assert params["at"]
    assert cookies_set(page) == []


def test_program_asks_for_it(app, ada, db):
    assert app.get(FORGOT, headers=JSON).json["csrf_token"]

    app.post_json(FORGOT, {"email": EMAIL}, status=202)

    assert letters(db) == [("reset_password", EMAIL)]


def test_request_changes_nothing_about_the_account(app, ada, db):
    before = state(db)

    ask(another(app))

    after = state(db)
    assert {**after, "outbox": []} == {**before, "outbox": []}
    assert greeting(app) == NAME


def test_known_and_unknown_addresses_are_answered_with_the_same_work(app, ada, db):
    sign_up(another(app), email="disabled@example.com")
    db.execute(text("UPDATE users SET status = 'disabled' WHERE email LIKE 'disabled%'"))
    forget_the_past(db)
    engine = app.app.registry[ENGINE]
    answers, work = [], []
    for email in (EMAIL, UNKNOWN, "disabled@example.com", "not even an address"):
        browser = another(app)
        page = browser.get(FORGOT)
        with statements_on(engine) as statements:
            answer = fill_in(page, FORGOT, email=email)
        token = csrf_token(page)
        headers = {k: v for k, v in answer.headers.items() if k != "Content-Length"}
        body = answer.text.replace(email, "").replace(token, "")
        answers.append((answer.status, headers, body))
        work.append(statements)

    assert answers[1:] == answers[:-1]
    assert work[1:] == work[:-1]
    assert len(work[0]) == 3  # Two counters and the letter.
    assert not any("users" in statement for statement in work[0])


def test_no_row_tells_known_from_unknown(app, ada, db):
    rows = []
    for email in (EMAIL, UNKNOWN):
        db.execute(text("DELETE FROM outbox"))
        db.execute(text("DELETE FROM throttles"))
        app.post_json(FORGOT, {"email": email}, status=202)
        letter = db.execute(text("SELECT * FROM outbox")).one()._asdict()
        assert letter.pop("recipient") == email
        for varying in ("id", "created_at", "due_at"):
            letter.pop(varying)
        letter["params"].pop("at")
        rows.append((letter, count(db, "throttles"), count(db, "tokens"), events(db)))

    assert rows[0] == rows[1]


@pytest.mark.parametrize("email", [EMAIL, UNKNOWN])
def test_too_many_requests_are_refused_alike_for_known_and_unknown(app, ada, db, email):
    for _ in range(10):
        app.post_json(FORGOT, {"email": email}, status=202)

    for _ in range(2):
        answer = app.post_json(FORGOT, {"email": email.upper()}, status=429)
        assert answer.json["error"]["code"] == "too_many_attempts"
        assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    page = ask(another(app), f" {email} ")
    assert page.status_int == 429
    assert 0 < int(page.headers["Retry-After"]) <= 15 * 60
    assert alert(page) == "Too many attempts. Wait 15 minutes, then try again."
    assert page.html.title.get_text().startswith("Error: ")
    # The form is there again, with what was typed.
    assert form_to(page, FORGOT)["email"].value.strip() == email
    assert errors_beside(page) == {}
    assert len(letters(db)) == 10
    assert events(db) == ["throttled"]
    whose = db.execute(text("SELECT user_id FROM security_events")).scalars().all()
    assert whose == [None]
    app.post_json(FORGOT, {"email": "somebody-else@example.com"}, status=202)


@pytest.mark.parametrize(
    ("email", "error"),
    [
        ("", "This field is required."),
        ("   ", "This field is required."),
        ("a" * 255, "Use at most 254 characters."),
    ],
)
def test_what_could_be_no_address_is_refused_beside_its_field(app, db, email, error):
    page = ask(app, email)

    assert page.status_int == 400
    assert errors_beside(page) == {"email": [error]}
    assert shown_values(page) == {"email": email}
    assert letters(db) == []
    answer = app.post_json(FORGOT, {"email": email}, status=400)
    assert answer.json["error"]["fields"] == {"email": [error]}


def test_nul_and_other_types_are_refused(app, db):
    impossible: list[object] = ["a\0@example.com", "\ud800@example.com", 1, ["a@example.com"], {}]
    for email in impossible:
        app.post_json(FORGOT, {"email": email}, status=400)
    assert app.post(FORGOT, {"email": EMAIL}, status=400)  # Without the form's token.
    assert letters(db) == []
    assert count(db, "throttles") == 0


def test_address_in_the_query_does_not_count(app, db):
    page = app.get(f"{FORGOT}?email={EMAIL}")
    app.post(f"{FORGOT}?email={EMAIL}", {"csrf_token": csrf_token(page)}, status=400)

    assert letters(db) == []


def test_what_was_typed_is_shown_as_text(app):
    page = ask(app, "<script>alert(1)</script>")

    assert "<script>alert" not in page
    assert page.html.main.strong.get_text() == "<script>alert(1)</script>"


# Using it.


def test_new_password_signs_in_and_the_old_one_does_not(app, token):
    browser = another(app)

    answer = reset(browser, token)

    assert answer.status_int == 303
    assert path_of(answer) == "/sign-in"
    assert "Your password has been changed. Sign in with the new one." in answer.follow()
    assert greeting(browser) is None
    assert sign_in(another(app)).status_int == 401
    assert sign_in(another(app), password=NEW).status_int == 303


def test_program_uses_it(app, token):
    address = f"/reset-password/{token}"
    assert app.get(address, headers=JSON).json["csrf_token"]

    answer = app.post_json(address, {"new_password": NEW}, status=204)

    assert answer.body == b""
    assert sign_in(another(app), password=NEW).status_int == 303


def test_all_sessions_end_and_others_are_left_alone(app, token, db):
    laptop, stranger = another(app), another(app)
    sign_in(laptop)
    sign_up(stranger, email="bo@example.com", name="Bo")

    reset(another(app), token)

    assert [greeting(browser) for browser in (app, laptop, stranger)] == [None, None, "Bo"]


def test_browser_that_was_signed_in_is_signed_out(app, token, db):
    old = app.cookies["session"]

    answer = reset(app, token)

    assert session_cookie(answer).value != old
    assert greeting(app) is None
    assert "Sign in with the new one" in answer.follow()
    assert answer.follow().request.path == "/sign-in"
    thief = another(app)
    thief.set_cookie("session", old)
    assert greeting(thief) is None


def test_program_that_was_signed_in_loses_its_cookie(app, token, db):
    answer = app.post_json(f"/reset-password/{token}", {"new_password": NEW}, status=204)

    assert is_cleared(session_cookie(answer))
    assert count(db, "sessions") == 0


def test_somebody_else_who_is_signed_in_stays_so(app, token):
    other = another(app)
    sign_up(other, email="bo@example.com", name="Bo")

    reset(other, token)

    assert greeting(other) == "Bo"


def test_owner_is_told_and_the_log_too(app, token, db, caplog):
    caplog.set_level(logging.INFO)

    reset(another(app), token)

    assert ("password_changed", EMAIL) in letters(db)
    assert events(db) == ["password_reset", "sessions_revoked", "email_verified"]
    assert '"event": "password_reset"' in caplog.text


def test_mailbox_is_verified_by_it(app, token, db):
    reset(another(app), token)

    assert db.execute(text("SELECT email_verified_at FROM users")).scalar_one()


def test_mailbox_that_was_verified_keeps_its_time(app, token, db):
    db.execute(text("UPDATE users SET email_verified_at = '2020-02-02'"))

    reset(another(app), token)

    assert db.execute(text("SELECT email_verified_at FROM users")).scalar_one().year == 2020
    assert events(db) == ["password_reset", "sessions_revoked"]


def test_all_other_tokens_and_the_change_of_the_address_are_void(app, token, ada, db):
    others = [token_for(db, ada, purpose) for purpose in Purpose]
    fields = {"email": "new@example.com", "current_password": PASSWORD}
    app.post_json("/account/email", fields, status=202)
    assert "change_email" in dict(letters(db))

    reset(another(app), token)

    assert count(db, "tokens") == 0
    assert "change_email" not in dict(letters(db))
    for page, other in zip(["reset-password", "verify-email", "verify-email"], others, strict=True):
        app.get(f"/{page}/{other}", status=400)


def test_owner_of_an_account_that_is_attacked_gets_in(app, token):
    attacker = another(app)
    for _ in range(11):
        attacker.post_json("/sign-in", {"email": EMAIL, "password": "wrong"}, status="*")
    blocked = attacker.post_json("/sign-in", {"email": EMAIL, "password": PASSWORD}, status="*")
    assert blocked.status_int == 429

    reset(another(app), token)

    assert sign_in(another(app), password=NEW).status_int == 303


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_the_page_changes_nothing(app, token, db, method):
    before = state(db)

    for _ in range(3):
        another(app).request(f"/reset-password/{token}", method=method, status=200)

    assert state(db) == before
    assert reset(another(app), token).status_int == 303


@pytest.mark.parametrize(
    ("new", "error"),
    [
        ("", "This field is required."),
        ("short", "Use at least 8 characters."),
        (EMAIL, "Your own name or address is too easy to guess. Use another password."),
        (NAME, "Your own name or address is too easy to guess. Use another password."),
        ("a" * 257, "Use at most 256 characters."),
    ],
)
def test_password_that_is_refused_leaves_the_token_good(app, token, db, new, error):
    before = state(db)
    browser = another(app)

    page = reset(browser, token, new)

    assert page.status_int == 400
    assert errors_beside(page) == {"new_password": [error]}
    assert shown_values(page) == {"username": EMAIL, "new_password": ""}
    address = f"/reset-password/{token}"
    answer = app.post_json(address, {"new_password": new}, status=400)
    assert answer.json["error"]["fields"] == {"new_password": [error]}
    assert state(db) == before
    assert fill_in(page, address, new_password=NEW).status_int == 303


def test_form_is_one_that_password_managers_understand(app, token):
    form = form_to(app.get(f"/reset-password/{token}"), f"/reset-password/{token}")

    tokens = {name: fields[0].attrs.get("autocomplete") for name, fields in form.fields.items()}
    assert tokens["username"] == "username"
    assert tokens["new_password"] == "new-password"


# Tokens that are not good.


def test_used_token_says_so_and_offers_a_new_one(app, token, db):
    reset(another(app), token)

    assert is_refused(app, db, token, PAGE)
    page = app.get(f"/reset-password/{token}", status=400)
    assert page.click("Ask for a new link").request.path == FORGOT


def test_token_that_has_expired(app, ada, db):
    token = token_for(db, ada, Purpose.RESET_PASSWORD, lifetime=timedelta(0))

    assert is_refused(app, db, token, PAGE)


@pytest.mark.parametrize("purpose", [Purpose.VERIFY_EMAIL, Purpose.CHANGE_EMAIL])
def test_token_for_something_else(app, ada, db, purpose):
    assert is_refused(app, db, token_for(db, ada, purpose), PAGE)


def test_token_for_a_password_is_none_for_an_address(app, token, db):
    assert is_refused(app, db, token, "verify-email")


def test_token_that_never_was(app, ada, db):
    assert is_refused(app, db, new_token(), PAGE)


def test_token_of_somebody_who_is_disabled(app, token, db):
    db.execute(text("UPDATE users SET status = 'disabled'"))

    assert is_refused(app, db, token, PAGE)


def test_token_of_an_account_whose_address_is_another_by_now(app, token, db):
    db.execute(text("UPDATE users SET email = 'new@example.com'"))

    assert is_refused(app, db, token, PAGE)


def test_token_of_an_address_that_is_spelt_otherwise_is_good(app, ada, db):
    token = token_for(db, ada, Purpose.RESET_PASSWORD, email=EMAIL.upper())

    assert reset(another(app), token).status_int == 303


def test_token_is_void_once_the_password_was_changed(app, token, db):
    fields = {"current_password": PASSWORD, "new_password": "yet another password"}
    app.post_json("/account/password", fields, status=204)

    assert is_refused(app, db, token, PAGE)


def test_token_goes_with_the_account(app, token, db):
    app.post_json("/account/delete", {"current_password": PASSWORD}, status=204)

    assert is_refused(app, db, token, PAGE)


def test_hash_of_a_token_is_no_token(app, token, db):
    stored = bytes(db.execute(text("SELECT token_hash FROM tokens")).scalar_one())

    assert is_refused(app, db, stored.hex(), PAGE)


def test_what_is_stored_is_not_the_token(app, token, db):
    stored = db.execute(text("SELECT t::text FROM tokens t")).scalar_one()

    assert token not in stored
    assert len(bytes(db.execute(text("SELECT token_hash FROM tokens")).scalar_one())) == 32


@pytest.mark.parametrize("page", ["reset-password", "verify-email"])
@pytest.mark.parametrize("garbled", GARBLED, ids=range(len(GARBLED)))
def test_garbled_tokens_ask_nothing_of_the_database(app, ada, db, page, garbled):
    before = state(db)
    browser = another(app)

    statuses = {browser.get(f"/{page}/{garbled}", status="*").status_int}
    with statements_on(app.app.registry[ENGINE]) as statements:
        answer = browser.post_json(f"/{page}/{garbled}", {"new_password": NEW}, status="*")

    assert statuses | {answer.status_int} <= {400, 404}
    if garbled not in {"x" * 43, "-" * 43}:  # What could be one is looked for.
        assert statements == []
    assert state(db) == before


@pytest.mark.parametrize("page", ["reset-password", "verify-email"])
@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\xed\xa0\x80", b"a/b", b"\0"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bytes_that_are_no_text_are_no_error_of_ours(app, page, raw, method):
    assert call(app, f"/{page}/".encode() + raw, method).status_int in {400, 404}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(app, token, db, method):
    before = state(db)

    app.request(f"/reset-password/{token}", method=method, status=405)

    assert state(db) == before


# Races and failures.


def test_of_two_uses_at_once_one_wins(app, token, db):
    browsers = [another(app), another(app)]
    address = f"/reset-password/{token}"
    pages = [browser.get(address) for browser in browsers]
    passwords = ("the first new password", "the second new password")

    # Both wait for the row of the account.
    with ThreadPoolExecutor(2) as threads:
        with db.engine.begin() as holder:
            holder.execute(text("SELECT FROM users FOR UPDATE"))
            answers = [
                threads.submit(fill_in, page, address, new_password=new)
                for page, new in zip(pages, passwords, strict=True)
            ]
            wait_until_blocked(db, 2)
        statuses = [answer.result().status_int for answer in answers]

    assert sorted(statuses) == [303, 400]
    winner = statuses.index(303)
    assert sign_in(another(app), password=passwords[winner]).status_int == 303
    assert sign_in(another(app), password=passwords[1 - winner]).status_int == 401
    assert [kind for kind, _ in letters(db)].count("password_changed") == 1
    assert events(db).count("password_reset") == 1


def test_two_tokens_of_one_account_at_once_make_one_new_password(app, ada, db):
    addresses = [f"/reset-password/{token_for(db, ada, Purpose.RESET_PASSWORD)}" for _ in range(2)]
    pages = [another(app).get(address) for address in addresses]

    with ThreadPoolExecutor(2) as threads:
        with db.engine.begin() as holder:
            holder.execute(text("SELECT FROM users FOR UPDATE"))
            answers = [
                threads.submit(fill_in, page, address, new_password=NEW)
                for page, address in zip(pages, addresses, strict=True)
            ]
            wait_until_blocked(db, 2)
        statuses = [answer.result().status_int for answer in answers]

    assert sorted(statuses) == [303, 400]
    assert events(db).count("password_reset") == 1


def test_sign_in_under_way_with_the_old_password_does_not_slip_in(lab_app, db, view):
    """It was verified before the reset, and commits after it was sent."""
    sign_up(lab_app)
    token = token_for(db, id_of(db), Purpose.RESET_PASSWORD)
    thief = another(lab_app)
    verified, waiting = threading.Event(), threading.Event()

    def slow_sign_in(request):
        account = request.services.passwords.authenticate(EMAIL, PASSWORD, visitor_of(request))
        verified.set()
        waiting.wait(10)
        request.session.sign_in(account.user.id)
        return {}

    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(thief.get, view(slow_sign_in), status="*")
        assert verified.wait(10)
        resetting = threads.submit(reset, another(lab_app), token)
        wait_until_blocked(db)
        waiting.set()
        assert slow.result().status_int == 200
        assert resetting.result().status_int == 303

    assert greeting(thief) is None
    assert greeting(lab_app) is None


def test_upgrade_of_the_hash_meanwhile_leaves_the_token_good(app, token, db):
    """A sign-in with the old password wrote a new hash of it while the new one was hashed."""
    browser = another(app)
    page = browser.get(f"/reset-password/{token}")
    with ThreadPoolExecutor(1) as threads:
        with db.engine.begin() as other:
            other.execute(text("UPDATE users SET password_hash = password_hash || ' '"))
            answer = threads.submit(fill_in, page, f"/reset-password/{token}", new_password=NEW)
            wait_until_blocked(db)
        assert answer.result().status_int == 303

    assert sign_in(another(app), password=NEW).status_int == 303


@pytest.mark.parametrize(
    "change", ["status = 'disabled'", "email = 'new@example.com'"], ids=["disabled", "moved"]
)
def test_account_that_changes_meanwhile_keeps_its_password(app, token, db, change):
    page = another(app).get(f"/reset-password/{token}")
    old = db.execute(text("SELECT password_hash FROM users")).scalar_one()
    with ThreadPoolExecutor(1) as threads:
        with db.engine.begin() as other:
            other.execute(text(f"UPDATE users SET {change}"))  # noqa: S608
            answer = threads.submit(fill_in, page, f"/reset-password/{token}", new_password=NEW)
            wait_until_blocked(db)
        assert answer.result().status_int == 400

    assert db.execute(text("SELECT password_hash FROM users")).scalar_one() == old
    assert count(db, "tokens") == 1


@pytest.mark.parametrize("table", ["users", "security_events", "outbox"])
def test_commit_that_fails_leaves_password_token_and_sessions(app, token, db, table):
    before = state(db)
    browser = another(app)
    page = browser.get(f"/reset-password/{token}")

    with failing_commits(db, table):
        answer = fill_in(page, f"/reset-password/{token}", new_password=NEW)

    assert answer.status_int == 500
    assert cookies_set(answer) == []
    assert state(db) == before
    assert greeting(app) == NAME
    assert sign_in(another(app)).status_int == 303
    assert reset(browser, token).status_int == 303


def test_letter_is_posted_only_if_the_request_is_committed(app, db):
    page = app.get(FORGOT)
    with failing_commits(db, "outbox"):
        assert fill_in(page, FORGOT, email=EMAIL).status_int == 500

    assert letters(db) == []


# Letters that wait.


def change_password(app):
    fields = {"current_password": PASSWORD, "new_password": NEW}
    return fill_in(app.get("/account/password"), "/account/password", **fields)


def test_letter_that_waited_while_the_password_was_changed_is_not_sent(app, ada, db):
    ask(another(app))
    change_password(app)
    forgotten = [message for message in deliver(app) if is_reset(message)]
    assert forgotten == []
    assert "reset_password" not in [kind for kind, _ in letters(db)]
    assert "password_reset_requested" not in events(db)

    ask(another(app))
    [message] = deliver(app)
    assert reset(another(app), link_in(message).rpartition("/")[2], PASSWORD).status_int == 303


def test_letter_that_waited_while_the_password_was_reset_is_not_sent(app, token, db):
    ask(another(app))
    reset(another(app), token)

    assert [message for message in deliver(app) if is_reset(message)] == []


def test_letter_that_was_given_up_is_not_sent_after_a_change_either(app, ada, db):
    ask(another(app))
    db.execute(text("UPDATE outbox SET due_at = NULL, attempts = 9"))
    change_password(app)
    db.execute(text("UPDATE outbox SET due_at = now(), attempts = 1"))

    assert [message for message in deliver(app) if is_reset(message)] == []


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_letter_that_is_written_during_a_change_waits_for_how_it_ends(app, ada, db, end):
    """Its token comes behind those that the change makes void."""
    engine = app.app.registry[ENGINE]
    ask(another(app))
    with ThreadPoolExecutor(1) as thread, engine.connect() as changing:
        users = SqlUserRepository(BoundConnections(changing))
        found = users.credentials_of(ada)
        assert found is not None
        assert users.change_password(ada, found.password_hash, "another hash")
        SqlTokenRepository(BoundConnections(changing)).revoke(ada)
        delivered = thread.submit(deliver, app)
        wait_until_blocked(db)
        getattr(changing, end)()

        sent = [message for message in delivered.result(timeout=10) if is_reset(message)]
    assert len(sent) == (1 if end == "rollback" else 0)


def is_reset(message):
    return "/reset-password/" in message.text


def test_reset_needs_one_connection_at_a_time(migrated_url, db):
    """Requests that wanted a second one each could wait for each other."""
    single = {"pool_size": "1", "max_overflow": "0", "pool_timeout": "2s"}
    wsgi_app = make_app(migrated_url, **{f"sqlalchemy__{key}": v for key, v in single.items()})
    browser = webtest.TestApp(wsgi_app, extra_environ=HOST)
    try:
        sign_up(browser)
        token = token_for(db, id_of(db), Purpose.RESET_PASSWORD)
        browser.post_json(FORGOT, {"email": EMAIL}, status=202)

        browser.post_json(f"/reset-password/{token}", {"new_password": NEW}, status=204)
    finally:
        wsgi_app.registry[ENGINE].dispose()


# Secrecy.


def test_pages_with_a_token_tell_nobody_of_it(app, token, db):
    address = f"/reset-password/{token}"
    pages = [
        app.get(address),
        app.get(address, headers=JSON),
        app.post(address, {"new_password": NEW}, status=400),  # Without the form's token.
        app.post_json(address, {"new_password": "short"}, status=400),
        app.put(address, status=405),
        app.get(f"/reset-password/{new_token()}", status=400),
        app.get(f"/verify-email/{new_token()}", status=400),
        app.get(address, headers={"Host": "evil.example"}, status=400),
        reset(app, token),
    ]

    for page in pages:
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
    for element in pages[0].html.find_all(["a", "link", "script", "img", "form"]):
        target = element.get("href") or element.get("src") or element.get("action")
        assert target.startswith(("/", "#")), element
        assert not target.startswith("//")
    assert app.get("/").headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("fetch_site", ["same-origin", None])
def test_form_is_taken_as_browsers_send_it_from_a_page_without_referrer(app, token, fetch_site):
    """They say that its origin is null."""
    browser = another(app)
    form = form_to(browser.get(f"/reset-password/{token}"), f"/reset-password/{token}")
    form["new_password"] = NEW
    headers = {"Origin": "null"}
    if fetch_site:
        headers["Sec-Fetch-Site"] = fetch_site

    assert form.submit(headers=headers, status="*").status_int == 303


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_form_from_elsewhere_is_refused(app, token, db, headers):
    before = state(db)

    fields = {"new_password": NEW}
    app.post_json(f"/reset-password/{token}", fields, headers=headers, status=400)

    assert state(db) == before


def test_token_is_not_logged(app, token, db, caplog):
    caplog.set_level(logging.DEBUG)
    address = f"/reset-password/{token}"
    browser = another(app)
    page = browser.get(address)
    with failing_commits(db, "users"):
        fill_in(page, address, new_password=NEW)
    browser.post(address, {}, status=400)
    reset(browser, token)
    browser.get(address, status=400)

    assert "late" in caplog.text
    assert token not in caplog.text
    assert NEW not in caplog.text
    stored = "\n".join(str(row) for rows in state(db).values() for row in rows)
    assert token not in stored
    assert PASSWORD not in stored
