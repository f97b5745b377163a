"""Too many attempts, at the pages: the limits are those of the settings' defaults, 10 failed
sign-ins at an account and 100 from an address in 15 minutes."""

import math
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import bcrypt
import pytest
import webtest
from sqlalchemy import text

from authapp.domain.errors import InvalidCredentials
from authapp.domain.throttle import Limits, Rate
from authapp.repositories import ENGINE
from authapp.settings import read_rate
from authapp.views.signing_in import visitor_of
from tests.functional.conftest import HOST
from tests.functional.lab import Note
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    alert,
    another,
    cookies_set,
    count,
    csrf_token,
    fill_in,
    form_to,
    greeting,
    shown_values,
    sign_in,
    sign_out,
    sign_up,
    statements_on,
)

WRONG = "this is not the password"
UNKNOWN = "nobody@example.com"
LIMIT = 10
SIGN_UP = {"name": NAME, "email": EMAIL, "password": PASSWORD}


@pytest.fixture
def ada(app):
    """An account whose owner's browser is known, and signed out."""
    browser = another(app)
    sign_up(browser)
    sign_out(browser)
    return browser


@pytest.fixture
def hashed(monkeypatch):
    """What bcrypt was asked to compare or to hash."""
    asked = []

    def noted(name, function):
        def run(*arguments):
            asked.append(name)
            return function(*arguments)

        return run

    monkeypatch.setattr(bcrypt, "checkpw", noted("verify", bcrypt.checkpw))
    monkeypatch.setattr(bcrypt, "hashpw", noted("hash", bcrypt.hashpw))
    return asked


@pytest.fixture
def limited(make_lab, db):
    """Makes browsers before applications with other limits."""
    db.execute(text("DELETE FROM lab_notes"))
    return lambda **settings: webtest.TestApp(make_lab(**settings), extra_environ=HOST)


def attempt(app, email=EMAIL, password=WRONG, status="*", **environ):
    fields = {"email": email, "password": password}
    return app.post_json("/sign-in", fields, status=status, extra_environ=environ)


def use_up(app, email=EMAIL):
    for _ in range(LIMIT):
        attempt(app, email, status=401)


def set_rest(db, seconds):
    """Has all periods end in so long."""
    db.execute(
        text("UPDATE throttles SET resets_at = now() + make_interval(secs => :s)"), {"s": seconds}
    )


def counters(db):
    return db.execute(text("SELECT count FROM throttles ORDER BY count")).scalars().all()


def limits_of(db, limit):
    statement = text("SELECT count FROM throttles WHERE key = :key")
    return db.execute(statement, {"key": limit.key}).scalar_one_or_none()


def account_limit(email=EMAIL):
    rate = read_rate("10/15m")
    return Limits(rate, rate).at_account("sign_in", email)


def address_limit(address):
    rate = Rate(1, read_rate("1/1s").period)
    return Limits(rate, rate).from_address("sign_in", address)


# What is answered.


@pytest.mark.usefixtures("ada")
def test_after_ten_failures_the_right_password_is_refused_too_and_not_even_compared(app, hashed):
    use_up(app)
    hashed.clear()

    page = sign_in(app)

    assert page.status_int == 429
    assert hashed == []
    assert greeting(app) is None


@pytest.mark.usefixtures("ada")
def test_the_form_comes_again_with_what_was_typed_and_says_how_long(app, db):
    use_up(app)
    set_rest(db, 11.5 * 60)

    page = fill_in(
        app.get("/sign-in?next=/account/sessions"),
        "/sign-in",
        email=EMAIL,
        password=WRONG,
        remember=False,
    )

    assert page.status_int == 429
    words = " ".join(alert(page).split())
    assert words == (
        "Too many attempts. Wait 12 minutes, then try again. If you have forgotten your password, "
        "set a new one."
    )
    assert page.html.find(attrs={"role": "alert"}).a["href"] == "/forgot-password"
    assert 689 <= int(page.headers["Retry-After"]) <= 690
    assert shown_values(page) == {
        "next": "/account/sessions",
        "email": EMAIL,
        "password": "",
        "remember": "1",
    }
    assert form_to(page, "/sign-in")["remember"].checked is False
    assert WRONG not in page
    assert page.html.title.get_text().startswith("Error: ")
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("ada")
def test_programs_are_told_by_code_and_header(app, db):
    use_up(app)
    set_rest(db, 59.5)

    answer = attempt(app, status=429)

    message = "Too many attempts. Wait 1 minute, then try again."
    assert answer.json == {"error": {"code": "too_many_attempts", "message": message, "fields": {}}}
    assert answer.headers["Retry-After"] == "60"
    assert cookies_set(answer) == []


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "html"])
def test_known_and_unknown_accounts_are_answered_the_same_to_the_byte(app, db, as_json):
    answers = []
    for email in (EMAIL, UNKNOWN):
        use_up(app, email)
        set_rest(db, 700.9)
        browser = another(app)
        answer = attempt(browser, email) if as_json else sign_in(browser, email, WRONG)
        body = answer.text.replace(email, "EMAIL")
        if not as_json:
            body = body.replace(csrf_token(answer), "TOKEN")
        headers = [h for h in answer.headerlist if h[0] not in {"Content-Length", "Set-Cookie"}]
        answers.append((answer.status, headers, body))

    assert answers[0] == answers[1]
    assert answers[0][0] == "429 Too Many Requests"


@pytest.mark.usefixtures("ada")
def test_attempts_are_good_again_when_the_time_is_over(app, db):
    use_up(app)
    attempt(app, status=429)

    db.execute(text("UPDATE throttles SET resets_at = now()"))

    attempt(app, password=PASSWORD, status=200)


@pytest.mark.usefixtures("ada")
def test_more_attempts_do_not_put_the_time_off(app, db):
    use_up(app)
    ends = db.execute(text("SELECT resets_at FROM throttles ORDER BY key")).scalars().all()

    for _ in range(5):
        attempt(app, status=429)

    assert db.execute(text("SELECT resets_at FROM throttles ORDER BY key")).scalars().all() == ends


# What is counted.


@pytest.mark.usefixtures("ada")
def test_an_account_s_attempts_are_counted_wherever_they_come_from_and_however_spelt(app):
    for number in range(LIMIT):
        attempt(app, EMAIL.upper() if number % 2 else EMAIL, REMOTE_ADDR=f"198.51.100.{number}")

    attempt(app, f" {EMAIL} ", PASSWORD, 429, REMOTE_ADDR="198.51.100.200")


@pytest.mark.usefixtures("ada")
def test_an_address_s_attempts_are_counted_whatever_the_account(limited):
    app = limited(throttle__address="5/15m")
    for number in range(5):
        attempt(app, f"user{number}@example.com", status=401, REMOTE_ADDR="2001:db8:1:2::1")

    # The same network, in other words.
    attempt(app, EMAIL, PASSWORD, 429, REMOTE_ADDR="2001:db8:1:2:ffff::9")
    attempt(app, EMAIL, PASSWORD, 200, REMOTE_ADDR="2001:db8:1:3::1")


def test_one_address_that_is_refused_uses_up_nobody_s_attempts(limited, db):
    app = limited(throttle__address="5/15m")
    for number in range(5):
        attempt(app, f"user{number}@example.com", status=401)

    attempt(app, EMAIL, status=429)

    assert limits_of(db, account_limit()) is None


@pytest.mark.usefixtures("ada")
def test_a_success_forgives_the_account_and_gives_the_address_its_attempt_back(app, db):
    for _ in range(LIMIT - 1):
        attempt(app, status=401)

    attempt(app, password=PASSWORD, status=200)

    assert limits_of(db, account_limit()) is None
    assert limits_of(db, address_limit(None)) == LIMIT - 1


def test_what_no_account_could_have_is_not_counted(app, db):
    attempt(app, "", status=400)
    attempt(app, EMAIL, "", status=400)
    app.post_json("/sign-in", {"email": [EMAIL], "password": WRONG}, status=400)

    assert count(db, "throttles") == 0


def test_only_digests_are_kept_of_who_was_counted(app, db):
    attempt(app, UNKNOWN, REMOTE_ADDR="198.51.100.7")

    rows = " ".join(db.execute(text("SELECT t::text FROM throttles t")).scalars())
    assert len(rows) > 100
    for known in (UNKNOWN, "198.51.100.7"):
        assert known not in rows
        assert known.encode().hex() not in rows


@pytest.mark.usefixtures("ada")
def test_failures_count_although_the_request_is_rolled_back_or_fails(lab_app, db, view):
    def fail(request):
        with suppress(InvalidCredentials):
            request.services.passwords.authenticate(EMAIL, WRONG, visitor_of(request))

    def rolled_back(request):
        fail(request)
        request.dbsession.add(Note(text="gone with the rest"))
        request.tm.doom()
        return {}

    def fails(request):
        fail(request)
        raise RuntimeError("something else went wrong")

    def fails_at_commit(request):
        fail(request)
        request.dbsession.add_all([Note(text="same"), Note(text="same")])
        return {}

    lab_app.get(view(rolled_back), status=200)
    for act in (fails, fails_at_commit):
        lab_app.get(view(act), status=500)

    assert count(db, Note.__tablename__) == 0
    assert limits_of(db, account_limit()) == 3
    kinds = db.execute(text("SELECT kind FROM security_events")).scalars().all()
    assert kinds.count("sign_in_failed") == 3


@pytest.mark.usefixtures("ada")
def test_a_flood_is_news_once(app, db):
    use_up(app)
    for _ in range(5):
        attempt(app, status=429)

    kinds = db.execute(text("SELECT kind FROM security_events ORDER BY id")).scalars().all()
    assert kinds.count("sign_in_failed") == LIMIT
    assert kinds.count("throttled") == 1


# Other forms.


def test_signing_up_is_limited_by_address_and_loses_nothing_that_was_typed(limited, db, hashed):
    app = limited(throttle__address="2/15m")
    for number in range(2):
        sign_up(another(app), email=f"user{number}@example.com")
    hashed.clear()

    page = sign_up(another(app))
    answer = app.post_json("/sign-up", SIGN_UP, status=429)

    assert page.status_int == 429
    assert alert(page) == "Too many attempts. Wait 15 minutes, then try again."
    assert shown_values(page) == {"name": NAME, "email": EMAIL, "password": ""}
    assert page.headers["Retry-After"] == answer.headers["Retry-After"] == "900"
    assert answer.json["error"]["code"] == "too_many_attempts"
    assert hashed == []
    assert count(db, "users") == 2
    throttled = text("SELECT user_id, details FROM security_events WHERE kind = 'throttled'")
    assert db.execute(throttled).all() == [(None, {"action": "sign_up"})]
    app.post_json("/sign-up", SIGN_UP, extra_environ={"REMOTE_ADDR": "198.51.100.7"}, status=201)


@pytest.mark.parametrize("address", ["/account/password", "/account/delete", "/account/confirm"])
def test_the_current_password_is_asked_for_no_more_often_either(app, db, hashed, address):
    sign_up(app)
    fields = {"current_password": WRONG, "new_password": "quite another password"}
    for _ in range(LIMIT):
        app.post_json(address, fields, status=400)
    hashed.clear()
    fields["current_password"] = PASSWORD

    answer = app.post_json(address, fields, status=429)
    form = form_to(app.get(address), address)
    form["current_password"] = PASSWORD
    if "new_password" in form.fields:
        form["new_password"] = fields["new_password"]
    page = form.submit(status=429)

    assert answer.json["error"]["code"] == "too_many_attempts"
    assert alert(page) == "Too many attempts. Wait 15 minutes, then try again."
    assert page.html.main.find("form", action=address)
    assert int(page.headers["Retry-After"]) <= 900
    assert hashed == []
    assert PASSWORD not in page
    assert greeting(app) == NAME
    # Whoever holds the browser has used these up; who signs in has their own.
    assert sign_in(another(app)).status_int == 303


def test_a_view_that_does_not_catch_it_is_answered_by_a_page_with_a_way_on(lab_app, view):
    def act(request):
        with suppress(InvalidCredentials):
            request.services.passwords.authenticate(UNKNOWN, WRONG, visitor_of(request))
        return {}

    address = view(act)
    for _ in range(LIMIT):
        lab_app.get(address, status=200)

    page = lab_app.get(address, status=429)
    answer = lab_app.get(address, headers=JSON, status=429)

    assert page.html.h1.get_text() == "Too many attempts"
    assert "Wait 15 minutes, then try again." in page
    assert page.html.main.find("a", href="/account")
    for each in (page, answer):
        assert int(each.headers["Retry-After"]) in {899, 900}
    assert answer.json["error"]["code"] == "too_many_attempts"


# Known browsers.


def test_the_owner_gets_in_from_a_known_browser_while_others_are_refused(app, ada):
    attacker = another(app)
    use_up(attacker)

    assert attempt(attacker, password=PASSWORD).status_int == 429
    assert attempt(another(app), password=PASSWORD).status_int == 429
    assert sign_in(ada).status_int == 303
    # For as long as the attack goes on, and as often as one likes.
    for _ in range(2 * LIMIT):
        attempt(attacker, status=429)
        attempt(ada, password=PASSWORD, status=200)


def test_a_known_browser_has_ten_attempts_of_its_own_and_then_those_of_everybody(app, ada, hashed):
    use_up(ada)
    use_up(ada)
    hashed.clear()

    attempt(ada, password=PASSWORD, status=429)

    assert hashed == []


def test_each_known_browser_has_its_own(app, ada):
    other = another(app)
    sign_in(other)
    sign_out(other)
    use_up(other)
    use_up(other)
    attempt(other, password=PASSWORD, status=429)

    attempt(ada, password=PASSWORD, status=200)


def test_a_browser_that_is_known_to_another_account_is_like_any_other(app, ada):
    eve = another(app)
    sign_up(eve, email="eve@example.com", name="Eve")
    use_up(another(app))

    attempt(eve, password=PASSWORD, status=429)


# Many at once.


def parallel(app, times, **fields):
    browsers = [another(app) for _ in range(times)]
    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(partial(attempt, **fields), browsers))


def idle_in_transaction(db):
    return db.execute(
        text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
    ).scalar_one()


@pytest.mark.usefixtures("ada")
def test_fifty_wrong_passwords_at_once_count_fifty(limited, db, hashed):
    app = limited(throttle__account="1000/15m", throttle__address="1000/15m")

    answers = parallel(app, 50)

    assert {answer.status_int for answer in answers} == {401}
    assert counters(db) == [1, 50, 50]  # One has signed up.
    assert hashed.count("verify") == 50
    failed = text("SELECT count(*) FROM security_events WHERE kind = 'sign_in_failed'")
    assert db.execute(failed).scalar_one() == 50
    assert idle_in_transaction(db) == 0


@pytest.mark.usefixtures("ada")
def test_of_fifty_at_once_ten_are_compared(app, db, hashed):
    hashed.clear()

    answers = parallel(app, 50)

    assert sorted(answer.status_int for answer in answers) == [401] * 10 + [429] * 40
    assert hashed == ["verify"] * LIMIT
    assert limits_of(db, account_limit()) == 50
    kinds = db.execute(text("SELECT kind FROM security_events")).scalars().all()
    assert kinds.count("throttled") == 1
    assert idle_in_transaction(db) == 0


@pytest.mark.usefixtures("ada")
def test_right_passwords_at_once_all_get_in_with_no_more_connections_than_there_are(limited, db):
    app = limited(sqlalchemy__pool_size="2", sqlalchemy__max_overflow="0")

    answers = parallel(app, LIMIT, password=PASSWORD)

    assert {answer.status_int for answer in answers} == {200}
    assert count(db, "sessions") == LIMIT
    assert limits_of(db, account_limit()) is None
    assert limits_of(db, address_limit(None)) == 0
    assert idle_in_transaction(db) == 0


# What can be told from outside.


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("refused", [False, True], ids=["wrong", "too many"])
def test_known_and_unknown_accounts_cost_the_same_statements(app, db, refused):
    engine = app.app.registry[ENGINE]
    found = []
    for email in (EMAIL, UNKNOWN):
        if refused:
            use_up(app, email)
            attempt(app, email, status=429)
        with statements_on(engine) as statements:
            attempt(app, email, status=429 if refused else 401)
        found.append([re.sub(r"\s+", " ", statement) for statement in statements])

    assert found[0] == found[1]
    assert len(found[0]) == (3 if refused else 4)


@pytest.mark.usefixtures("ada")
def test_retry_after_is_rounded_up(app, db):
    use_up(app)
    for seconds in (0.2, 1.5, 100.9):
        set_rest(db, seconds)
        answer = attempt(app, status=429)
        assert int(answer.headers["Retry-After"]) == max(1, math.ceil(seconds))
