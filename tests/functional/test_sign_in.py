import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import bcrypt
import pytest
import webtest
from sqlalchemy import event, text

from authapp.repositories import ENGINE
from authapp.security.recent import CONFIRMED_AT
from authapp.sessions.cookie import Ticket
from tests.conftest import make_app
from tests.functional.conftest import HOST
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    THIRTY_DAYS,
    alert,
    another,
    cookies_set,
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
    sign_out,
    sign_up,
    signed,
    the_session,
    ticket_in,
    unchecked,
    with_cookie,
)
from tests.functional.waiting import wait_until_blocked

REFUSED = "Invalid email or password"


@pytest.fixture
def ada(app):
    """An account, signed in nowhere."""
    browser = another(app)
    sign_up(browser)
    sign_out(browser)


# The way in.


@pytest.mark.usefixtures("ada")
def test_right_password_signs_in(app, db):
    answer = sign_in(app)

    assert answer.status_int == 303
    assert path_of(answer) == "/account"
    assert greeting(app) == NAME
    assert the_session(db).user_id == db.execute(text("SELECT id FROM users")).scalar_one()


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("email", [EMAIL.upper(), f" \t{EMAIL}\n"])
def test_email_is_known_without_regard_to_case_and_spaces_around_it(app, email):
    assert sign_in(app, email=email).status_int == 303


@pytest.mark.usefixtures("ada")
def test_program_signs_in(app, db):
    answer = app.post_json("/sign-in", {"email": EMAIL, "password": PASSWORD}, status=200)

    user_id = db.execute(text("SELECT id FROM users")).scalar_one()
    assert answer.json == {
        "user": {"id": str(user_id), "name": NAME, "email": EMAIL, "role": "member"}
    }
    assert greeting(app) == NAME


@pytest.mark.usefixtures("ada")
def test_form_with_a_json_answer_signs_in(app):
    token = app.get("/sign-in", headers=JSON, status=200).json["csrf_token"]

    fields = {"email": EMAIL, "password": PASSWORD, "csrf_token": token}
    answer = app.post("/sign-in", fields, headers=JSON, status=200)

    assert answer.json["user"]["email"] == EMAIL


def test_form_suits_password_managers(app):
    page = app.get("/sign-in", status=200)

    fields = {i["name"]: i for i in page.html.main.find_all("input")}
    assert fields["email"]["autocomplete"] == "username"
    assert fields["password"]["autocomplete"] == "current-password"
    assert fields["password"]["type"] == "password"
    assert not any("onpaste" in field.attrs for field in fields.values())


@pytest.mark.usefixtures("ada")
def test_person_who_is_signed_in_is_sent_on(app):
    sign_in(app)

    assert path_of(app.get("/sign-in", status=303)) == "/account"
    assert path_of(app.get("/sign-in?next=/healthz", status=303)) == "/healthz"
    assert path_of(app.get("/sign-in?next=//evil.example", status=303)) == "/account"


@pytest.mark.usefixtures("ada")
def test_user_agent_and_address_are_noted_in_printable_form(app, db):
    agent = "Mozilla/5.0 \x1b[31m" + "x" * 600
    sign_in(another(app, HTTP_USER_AGENT=agent, REMOTE_ADDR="192.0.2.7"))

    session = the_session(db)
    assert session.user_agent == ("Mozilla/5.0 [31m" + "x" * 600)[:512]
    assert session.address == "192.0.2.7"


# What is refused.


def _without_what_differs(page, email):
    page = page.text.replace(csrf_token(page), "TOKEN")
    return page.replace(email, "EMAIL")


@pytest.mark.usefixtures("ada")
def test_unknown_wrong_and_disabled_look_the_same(app, db):
    disabled = another(app)
    sign_up(disabled, email="bob@example.com")
    db.execute(text("UPDATE users SET status = 'disabled' WHERE email = 'bob@example.com'"))
    sessions = count(db, "sessions")
    cases = [
        ("nobody@example.com", PASSWORD),
        ("no address at all", PASSWORD),
        (EMAIL, "wrong password"),
        ("bob@example.com", PASSWORD),
        ("bob@example.com", "wrong password"),
    ]

    pages, answers = [], []
    for email, password in cases:
        page = sign_in(another(app), email=email, password=password)
        pages.append((page.status, page.headerlist, _without_what_differs(page, email)))
        fields = {"email": email, "password": password}
        answer = app.post_json("/sign-in", fields, status="*")
        answers.append((answer.status, answer.headerlist, answer.body))

    def without_lengths(headers):
        return [(k, v) for k, v in headers if k not in {"Content-Length", "Set-Cookie"}]

    assert {status for status, _, _ in pages} == {"401 Unauthorized"}
    assert all(body == pages[0][2] for _, _, body in pages)
    assert all(without_lengths(h) == without_lengths(pages[0][1]) for _, h, _ in pages)
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == "401 Unauthorized"
    assert count(db, "sessions") == sessions


@pytest.mark.usefixtures("ada")
def test_refusal_is_one_message_and_keeps_the_address_but_not_the_password(app):
    page = sign_in(app, password="wrong password", remember=False)

    assert page.status_int == 401
    assert alert(page) == REFUSED
    assert errors_beside(page) == {}
    assert shown_values(page)["email"] == EMAIL
    assert shown_values(page)["password"] == ""
    assert form_to(page, "/sign-in")["remember"].checked is False
    assert "wrong password" not in page
    assert greeting(app) is None


def test_refusal_in_json_says_the_same(app):
    answer = app.post_json("/sign-in", {"email": EMAIL, "password": PASSWORD}, status=401)

    assert answer.json == {
        "error": {"code": "invalid_credentials", "message": REFUSED, "fields": {}}
    }
    assert cookies_set(answer) == []


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    "password",
    [PASSWORD[:-1], PASSWORD + "x", PASSWORD + " ", " " + PASSWORD, PASSWORD.title()],
)
def test_password_is_verified_exactly(app, password):
    assert sign_in(app, password=password).status_int == 401


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"email": ""}, "This field is required."),
        ({"email": "  "}, "This field is required."),
        ({"email": "a" * 300}, "Use at most 254 characters."),
        ({"email": "ada\0@example.com"}, "This contains characters that cannot be used here."),
        ({"password": ""}, "This field is required."),
        ({"password": "p" * 257}, "Use at most 256 characters."),
        ({"password": "p\0"}, "This contains characters that cannot be used here."),
    ],
)
def test_what_no_account_could_have_is_an_error_beside_its_field(app, changed, message):
    [field] = changed
    fields = {"email": EMAIL, "password": PASSWORD} | changed

    page = fill_in(app.get("/sign-in"), "/sign-in", **fields)

    assert page.status_int == 400
    assert errors_beside(page) == {field: [message]}
    answer = app.post_json("/sign-in", fields, status=400)
    assert answer.json["error"]["fields"] == {field: [message]}


@pytest.mark.usefixtures("ada")
def test_each_refusal_costs_one_verification_and_each_sign_in_too(app, db, monkeypatch):
    sign_up(another(app), email="bob@example.com")
    sign_up(another(app), email="broken@example.com")
    db.execute(text("UPDATE users SET status = 'disabled' WHERE email = 'bob@example.com'"))
    costs = []
    checkpw = bcrypt.checkpw

    def counted(password, hashed):
        costs.append(hashed[:7])
        return checkpw(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    for email, password in [
        (EMAIL, PASSWORD),
        (EMAIL, "wrong password"),
        ("nobody@example.com", PASSWORD),
        ("bob@example.com", PASSWORD),
        (EMAIL, "p" * 100),
    ]:
        costs.clear()
        app.post_json("/sign-in", {"email": email, "password": password}, status="*")
        assert costs == [b"$2b$04$"], (email, password)


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("stored", ["", "!", "$2b$04$short", "plain text", "$1$x$y", "\N{SNOWMAN}"])
def test_account_with_an_unusable_hash_is_refused_like_any_other(app, db, stored):
    db.execute(text("UPDATE users SET password_hash = :stored"), {"stored": stored})

    assert alert(sign_in(app)) == REFUSED


# The hash.


def test_hash_is_upgraded_when_the_cost_was_raised(app, db, migrated_url):
    sign_up(app)
    dearer = make_app(migrated_url, password__bcrypt_rounds="5")
    later = webtest.TestApp(dearer, extra_environ=HOST)

    assert sign_in(another(later), password="wrong password").status_int == 401
    assert db.execute(text("SELECT password_hash FROM users")).scalar_one().startswith("$2b$04$")
    assert sign_in(later).status_int == 303
    assert db.execute(text("SELECT password_hash FROM users")).scalar_one().startswith("$2b$05$")
    assert sign_in(another(later)).status_int == 303
    dearer.registry[ENGINE].dispose()


@pytest.mark.parametrize("kind", ["2a", "2b", "2y"])
def test_hash_of_another_system_is_verified_and_upgraded(app, db, kind):
    sign_up(app)
    brought = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    brought = f"${kind}${brought[4:]}"
    db.execute(text("UPDATE users SET password_hash = :hash"), {"hash": brought})

    assert sign_in(another(app), password="wrong password").status_int == 401
    assert sign_in(another(app)).status_int == 303
    assert db.execute(text("SELECT password_hash FROM users")).scalar_one().startswith("$2b$04$")
    assert sign_in(another(app)).status_int == 303


@pytest.mark.parametrize("how", ["sign-up", "sign-in", "upgrade"])
def test_nothing_is_locked_while_a_password_is_hashed(app, db, migrated_url, monkeypatch, how):
    upgrading = make_app(migrated_url, password__bcrypt_rounds="5")
    if how == "upgrade":
        sign_up(another(app))
        app = webtest.TestApp(upgrading, extra_environ=HOST)
    elif how == "sign-in":
        sign_up(another(app))
    writing = []

    def watched(function):
        def run(*arguments):
            # A transaction has an id from its first write or lock on.
            writing.append(
                db.execute(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL "
                        "AND datname = current_database()"
                    )
                ).scalar_one()
            )
            return function(*arguments)

        return run

    monkeypatch.setattr(bcrypt, "checkpw", watched(bcrypt.checkpw))
    monkeypatch.setattr(bcrypt, "hashpw", watched(bcrypt.hashpw))
    answer = sign_up(app) if how == "sign-up" else sign_in(app)

    assert answer.status_int == 303
    assert writing == [0] * (2 if how == "upgrade" else 1)
    upgrading.registry[ENGINE].dispose()


# Where to go next.


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    "target", ["/", "/account", "/healthz", "/account?a=1&b=%2F", "/a:b", "/x//y", "/#part"]
)
def test_next_leads_to_a_page_of_this_site(app, target):
    page = app.get(f"/sign-in?next={quote(target, safe='')}")

    answer = fill_in(page, "/sign-in", email=EMAIL, password=PASSWORD)

    assert path_of(answer) == target


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    "target",
    [
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/\n/evil.example",
        "/\r/evil.example",
        "https://evil.example",
        "https:evil.example",
        "https:/evil.example",
        "//localhost:6543@evil.example",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "evil.example",
        "account",
        "?x=1",
        "@evil.example",
        "/account\r\nSet-Cookie: x=1",
        "/account\0",
        "/\N{FULLWIDTH SOLIDUS}evil.example",
        "/\x85/evil.example",
        "/\N{LINE SEPARATOR}/evil.example",
        "http://localhost:6543/account",
        "/" + "x" * 70000 + "\\",
    ],
)
def test_next_never_leaves_this_site(app, target):
    fields = {"email": EMAIL, "password": PASSWORD, "next": target}
    token = csrf_token(app.get("/sign-in"))

    answer = unchecked(app).post("/sign-in", {**fields, "csrf_token": token}, status="*")

    if "\0" in target and answer.status_int == 400:
        return
    assert answer.status_int == 303
    assert path_of(answer) == "/account"
    assert session_cookie(answer).value


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("target", ["/.//evil.example", "/..//evil.example", "/./\t", "/%09/evil"])
def test_next_with_dots_is_still_on_this_site_once_a_browser_has_resolved_it(app, target):
    token = csrf_token(app.get("/sign-in"))
    fields = {"email": EMAIL, "password": PASSWORD, "next": target, "csrf_token": token}

    answer = app.post("/sign-in", fields, status=303)

    assert answer.location.startswith("http://localhost:6543/")


def test_next_survives_wrong_passwords(app):
    page = app.get("/sign-in?next=/healthz")

    page = fill_in(page, "/sign-in", email=EMAIL, password="wrong password")

    assert form_to(page, "/sign-in")["next"].value == "/healthz"


def test_next_is_shown_as_text_whatever_it_contains(app):
    page = app.get("/sign-in?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")

    assert len(page.html.find_all("script")) == len(app.get("/sign-in").html.find_all("script"))


# Staying signed in.


@pytest.mark.usefixtures("ada")
def test_who_wants_to_be_remembered_gets_a_cookie_for_thirty_days(app, db):
    assert form_to(app.get("/sign-in"), "/sign-in")["remember"].checked

    cookie = session_cookie(sign_in(app, remember=True))

    assert cookie["max-age"] == str(THIRTY_DAYS)
    assert the_session(db).persistent is True


@pytest.mark.usefixtures("ada")
def test_who_does_not_gets_one_that_ends_with_the_browser(app, db):
    cookie = session_cookie(sign_in(app, remember=False))

    assert cookie["max-age"] == ""
    assert cookie["expires"] == ""
    assert the_session(db).persistent is False


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("remember", "persistent"),
    [(True, True), (False, False), (None, False), ("1", True), ("false", False), ("0", False)],
)
def test_program_says_whether_to_be_remembered(app, db, remember, persistent):
    fields = {"email": EMAIL, "password": PASSWORD, "remember": remember}

    cookie = session_cookie(app.post_json("/sign-in", fields, status=200))

    assert bool(cookie["max-age"]) is persistent
    assert the_session(db).persistent is persistent


# The session.


@pytest.mark.usefixtures("ada")
def test_signing_in_sets_one_cookie_with_a_token_that_is_new(app):
    visitors = session_cookie(app.get("/sign-in")).value

    cookie = session_cookie(sign_in(app)).value

    assert ticket_in(cookie).token != ticket_in(visitors).token
    assert greeting(another(app)) is None
    thief = another(app)
    assert thief.get("/", headers={**JSON, **with_cookie(visitors)}).json == {"user": None}


def test_signing_in_again_kills_the_old_cookie_and_keeps_the_session(app, db):
    old = session_cookie(sign_up(app)).value
    before = the_session(db)

    answer = app.post_json("/sign-in", {"email": EMAIL, "password": PASSWORD}, status=200)

    after = the_session(db)
    assert after.id == before.id
    assert after.created_at == before.created_at
    assert after.expires_at > before.expires_at
    assert after.token_hash != before.token_hash
    assert session_cookie(answer).value != old
    assert another(app).get("/", headers={**JSON, **with_cookie(old)}).json == {"user": None}
    assert greeting(app) == NAME


def _put(name, value):
    def view(request):
        request.session[name] = value
        return {}

    return view


def _content(request):
    return {key: request.session[key] for key in request.session if key != CONFIRMED_AT}


def test_what_a_visitor_had_is_kept_under_the_same_id(lab_app, db, view):
    sign_up(another(lab_app))
    db.execute(text("DELETE FROM sessions"))
    visitors = session_cookie(lab_app.get(view(_put("cart", ["book"]))))
    before = the_session(db)
    assert before.user_id is None

    sign_in(lab_app)

    after = the_session(db)
    assert after.id == before.id
    assert after.user_id is not None
    assert lab_app.get(view(_content)).json == {"cart": ["book"]}
    old = another(lab_app).get(view(_content), headers=with_cookie(visitors.value))
    assert old.json == {}


def test_signing_up_keeps_what_a_visitor_had_too(lab_app, db, view):
    lab_app.get(view(_put("cart", ["book"])))
    before = the_session(db)

    sign_up(lab_app)

    assert the_session(db).id == before.id
    assert lab_app.get(view(_content)).json == {"cart": ["book"]}


def test_session_of_another_user_is_ended(lab_app, db, view):
    sign_up(another(lab_app), email="bob@example.com", name="Bob")
    db.execute(text("DELETE FROM sessions"))
    adas = session_cookie(sign_up(lab_app)).value
    lab_app.get(view(_put("cart", ["book"])))
    before = the_session(db)

    fields = {"email": "bob@example.com", "password": PASSWORD}
    lab_app.post_json("/sign-in", fields, status=200)

    after = the_session(db)
    assert after.id != before.id
    assert after.user_id != before.user_id
    assert lab_app.get(view(_content)).json == {}
    assert greeting(lab_app) == "Bob"
    assert another(lab_app).get("/", headers={**JSON, **with_cookie(adas)}).json["user"] is None


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("stored", [True, False])
def test_token_that_was_never_issued_is_never_adopted(app, db, stored):
    # Signed, as if the secret had leaked or a session's row were gone.
    planted = Ticket.new(stored=stored)
    app.set_cookie("session", signed(planted))

    page = app.get("/sign-in")
    fill_in(page, "/sign-in", email=EMAIL, password=PASSWORD)

    assert greeting(app) == NAME
    assert the_session(db).token_hash != planted.token_hash
    assert ticket_in(app.cookies["session"]).token != planted.token


def test_token_of_a_visitors_session_that_ended_is_not_adopted(lab_app, db, view):
    old = ticket_in(session_cookie(lab_app.get(view(_put("cart", 1)))).value)
    db.execute(text("DELETE FROM sessions"))

    lab_app.get(view(_put("cart", 2)))

    assert the_session(db).token_hash != old.token_hash


@pytest.mark.usefixtures("ada")
def test_refused_sign_in_leaves_the_session_as_it_was(app, db):
    sign_in(app)
    before = the_session(db)

    app.post_json("/sign-in", {"email": EMAIL, "password": "wrong password"}, status=401)

    assert the_session(db) == before
    assert greeting(app) == NAME


@pytest.mark.usefixtures("ada")
def test_tokens_are_long_and_never_repeat(app):
    tokens = {ticket_in(session_cookie(sign_in(another(app))).value).token for _ in range(30)}

    assert len(tokens) == 30
    assert {len(token) for token in tokens} == {32}


@pytest.mark.usefixtures("ada")
def test_user_who_is_deleted_while_signing_in_gets_no_500(app, db, engine):
    with engine.connect() as deleting, ThreadPoolExecutor(1) as pool:
        deleting.execute(text("DELETE FROM users"))
        fields = {"email": EMAIL, "password": PASSWORD}
        signing_in = pool.submit(app.post_json, "/sign-in", fields, status="*")
        wait_until_blocked(db)
        deleting.commit()
        answer = signing_in.result(timeout=10)

    assert answer.status_int in {401, 503}
    assert cookies_set(answer) == []
    assert count(db, "sessions") == 0


@pytest.mark.usefixtures("ada")
def test_two_sign_ins_that_upgrade_one_hash_both_succeed(app, db, migrated_url):
    dearer = make_app(migrated_url, password__bcrypt_rounds="5")
    meeting = threading.Barrier(2, timeout=10)

    def wait(_connection, _cursor, statement, *_others):
        if statement.startswith("UPDATE users SET password_hash"):
            meeting.wait()

    event.listen(dearer.registry[ENGINE], "before_cursor_execute", wait)
    browsers = [webtest.TestApp(dearer, extra_environ=HOST) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(sign_in, browsers))

    assert [a.status_int for a in answers] == [303, 303]
    assert count(db, "sessions") == 2
    dearer.registry[ENGINE].dispose()


def test_no_password_reaches_the_log_when_something_breaks(app, db, caplog):
    caplog.set_level(logging.DEBUG)
    db.execute(text("ALTER TABLE users RENAME TO users_away"))
    try:
        app.post_json("/sign-in", {"email": EMAIL, "password": PASSWORD}, status=500)
    finally:
        db.execute(text("ALTER TABLE users_away RENAME TO users"))

    assert "users" in caplog.text
    assert PASSWORD not in caplog.text
