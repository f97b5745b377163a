"""Signing in to an account with a second factor: nobody is signed in before its code is right."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import webtest
from sqlalchemy import text

from authapp.domain.visitors import Visitor
from authapp.repositories import ENGINE
from authapp.views.sign_in_second_factor import PENDING
from tests.conftest import make_app
from tests.functional import lab
from tests.functional.conftest import HOST
from tests.functional.second_factor import (
    ADDRESS,
    STEP,
    WRONG,
    at_the_second_step,
    give_code,
    good_code,
    now,
    turn_on,
)
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    cookies_set,
    count,
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
    the_session,
)
from tests.functional.test_secrecy import everything_in


@pytest.fixture(scope="module")
def strict_wsgi_app(migrated_url):
    """Lets a code be wrong three times."""
    wsgi_app = make_app(migrated_url, throttle__account="3/15m")
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


@pytest.fixture
def phone(app):
    """Ada's authenticator. Her browser is `app`, and is signed in."""
    sign_up(app)
    return turn_on(app)


@pytest.fixture
def browser(app, phone):
    """Another one, in which the password has been given."""
    return at_the_second_step(another(app))


def kinds(db):
    return db.execute(text("SELECT kind FROM security_events ORDER BY id")).scalars().all()


class TestThePassword:
    def test_sends_on_to_the_second_step_and_signs_nobody_in(self, app, phone, db):
        browser = another(app)

        answer = sign_in(browser)

        assert answer.status_int == 303
        assert path_of(answer) == ADDRESS
        assert greeting(browser) is None
        assert kinds(db).count("signed_in") == 0

    def test_tells_a_program_what_is_missing(self, app, phone):
        browser = another(app)

        answer = browser.post_json("/sign-in", {"email": EMAIL, "password": PASSWORD}, status=202)

        assert answer.json == {"code": "second_factor_required", "location": ADDRESS}
        assert greeting(browser) is None

    def test_that_is_wrong_does_not(self, app, phone):
        assert sign_in(another(app), password="wrong").status_int == 401

    def test_of_an_account_without_second_factor_signs_in_as_ever(self, app, phone):
        sign_up(another(app), email="bo@example.com", name="Bo")
        browser = another(app)

        sign_in(browser, email="bo@example.com")

        assert greeting(browser) == "Bo"

    def test_renews_the_token(self, app, phone):
        browser = another(app)
        browser.get("/sign-in")
        before = browser.cookies["session"]

        sign_in(browser)

        assert browser.cookies["session"] != before

    def test_given_by_somebody_who_is_signed_in_ends_that_session(self, app, phone, db):
        browser = another(app)
        sign_up(browser, email="bo@example.com", name="Bo")
        old_cookie = browser.cookies["session"]

        body = {"email": EMAIL, "password": PASSWORD}
        browser.post_json("/sign-in", body, status=202)

        assert greeting(browser) is None
        thief = another(app)
        thief.set_cookie("session", old_cookie)
        assert greeting(thief) is None
        give_code(browser, good_code(db, phone))
        assert greeting(browser) == NAME


class TestTheCode:
    def test_signs_in_and_leads_where_the_person_wanted_to_go(self, app, phone, db):
        browser = another(app)
        page = browser.get("/sign-in?next=%2Faccount%2Fsessions%3Fpage%3D2")
        fill_in(page, "/sign-in", email=EMAIL, password=PASSWORD)

        answer = give_code(browser, good_code(db, phone))

        assert answer.status_int == 303
        assert path_of(answer) == "/account/sessions?page=2"
        assert greeting(browser) == NAME
        assert db.execute(
            text("SELECT details->'second_factor' FROM security_events WHERE kind = 'signed_in'")
        ).scalars().all() == [True]

    def test_signs_a_program_in(self, browser, phone, db):
        answer = browser.post_json(ADDRESS, {"code": good_code(db, phone)}, status=200)

        assert answer.json["user"]["email"] == EMAIL

    @pytest.mark.parametrize("remember", [True, False])
    def test_keeps_to_whether_the_person_wants_to_stay_signed_in(self, app, phone, db, remember):
        browser = another(app)
        sign_in(browser, remember=remember)

        cookie = session_cookie(give_code(browser, good_code(db, phone)))

        assert bool(cookie["max-age"]) is remember

    def test_is_given_under_a_token_that_is_dead_afterwards(self, app, browser, phone, db):
        pending = browser.cookies["session"]

        give_code(browser, good_code(db, phone))

        thief = another(app)
        thief.set_cookie("session", pending)
        assert greeting(thief) is None
        assert path_of(thief.get(ADDRESS)) == "/sign-in"

    def test_leaves_nothing_of_the_second_step_in_the_session(self, browser, phone, db):
        db.execute(text("DELETE FROM sessions WHERE user_id IS NOT NULL"))
        give_code(browser, good_code(db, phone))

        assert "authapp.second_factor" not in the_session(db).data

    @pytest.mark.parametrize("spelt", ["{0}{1} ", " {0} {1}", "{0}-{1}"])
    def test_may_be_typed_with_something_between_the_digits(self, browser, phone, db, spelt):
        code = good_code(db, phone)

        give_code(browser, spelt.format(code[:3], code[3:]))

        assert greeting(browser) == NAME

    @pytest.mark.parametrize("steps", [-1, 0, 1])
    def test_of_the_steps_beside_this_one_are_good(self, browser, phone, db, steps):
        code = phone.totp.at(now(db) + steps * STEP)

        assert give_code(browser, code).status_int == 303

    @pytest.mark.parametrize("steps", [-10, -2, 2, 10])
    def test_of_other_steps_are_not(self, browser, phone, db, steps):
        code = phone.totp.at(now(db) + steps * STEP)

        assert give_code(browser, code).status_int == 401
        assert greeting(browser) is None

    def test_that_is_wrong_is_told_beside_its_field(self, browser, db):
        page = give_code(browser, WRONG)

        assert page.status_int == 401
        assert errors_beside(page) == {
            "code": ["This code is not right, or it has been used already."]
        }
        assert shown_values(page) == {"code": ""}
        assert cookies_set(page) == []
        assert greeting(browser) is None
        assert kinds(db)[-1] == "sign_in_failed"
        failed = "SELECT details->'second_factor' FROM security_events ORDER BY id DESC LIMIT 1"
        assert db.execute(text(failed)).scalar_one() is True

    def test_that_is_wrong_is_told_to_a_program(self, browser):
        answer = browser.post_json(ADDRESS, {"code": WRONG}, status=401)

        assert answer.json["error"]["code"] == "invalid_code"
        assert list(answer.json["error"]["fields"]) == ["code"]

    @pytest.mark.parametrize(
        ("typed", "message"),
        [
            ("", "This field is required."),
            (" - ", "This field is required."),
            ("12345", "This is neither six digits from your app nor a recovery code."),
            ("1234567", "This is neither six digits from your app nor a recovery code."),
            ("١٢٣٤٥٦", "This is neither six digits from your app nor a recovery code."),
            ("u" * 24, "This is neither six digits from your app nor a recovery code."),
            ("a\0" * 12, "This is neither six digits from your app nor a recovery code."),
        ],
    )
    def test_that_is_none_is_no_attempt(self, browser, db, typed, message):
        before = count(db, "throttles")

        page = give_code(browser, typed)

        assert page.status_int == 400
        assert errors_beside(page) == {"code": [message]}
        assert count(db, "throttles") == before

    def test_is_good_once(self, app, browser, phone, db):
        code = good_code(db, phone)
        give_code(browser, code)
        other = at_the_second_step(another(app))

        assert give_code(other, code).status_int == 401
        assert greeting(other) is None

    def test_of_an_earlier_step_than_one_that_was_used_is_not_good(self, app, browser, phone, db):
        give_code(browser, phone.totp.at(now(db) + STEP))
        other = at_the_second_step(another(app))

        assert give_code(other, phone.totp.at(now(db))).status_int == 401

    def test_that_set_the_factor_up_does_not_sign_in_as_well(self, app):
        sign_up(app)
        phone = turn_on(app, forget_code=False)
        browser = at_the_second_step(another(app))

        assert give_code(browser, phone.first_code).status_int == 401

    def test_given_by_many_at_once_lets_one_in(self, app, phone, db):
        browsers = [at_the_second_step(another(app)) for _ in range(6)]
        pages = [browser.get(ADDRESS) for browser in browsers]
        code = good_code(db, phone)

        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda page: fill_in(page, ADDRESS, code=code), pages))

        assert sorted(answer.status_int for answer in answers) == [303, *[401] * 5]
        assert [greeting(browser) for browser in browsers].count(NAME) == 1

    def test_sent_twice_by_one_browser_signs_in_once(self, app, browser, phone, db):
        pages = [browser.get(ADDRESS), browser.get(ADDRESS)]
        code = good_code(db, phone)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda page: fill_in(page, ADDRESS, code=code), pages))

        assert kinds(db).count("signed_in") == 1

    def test_needs_the_forms_token(self, browser, phone, db):
        browser.post(ADDRESS, {"code": good_code(db, phone)}, status=400)

        assert greeting(browser) is None

    def test_is_the_one_of_this_account(self, app, browser, phone, db):
        """Eve gives her own code for Ada's account."""
        eve = another(app)
        sign_up(eve, email="eve@example.com", name="Eve")
        eves_phone = turn_on(eve)

        assert give_code(browser, good_code(db, eves_phone)).status_int == 401


class TestRecoveryCodes:
    def test_sign_in_once_and_tell_how_many_are_left(self, app, browser, phone, db):
        code = phone.recovery_codes[3]

        assert give_code(browser, code).status_int == 303
        assert greeting(browser) == NAME
        assert count(db, "recovery_codes") == 9
        used = "SELECT details FROM security_events WHERE kind = 'recovery_code_used'"
        assert db.execute(text(used)).scalars().all() == [{"left": 9}]
        assert (
            db.execute(
                text("SELECT count(*) FROM outbox WHERE kind = 'recovery_code_used'")
            ).scalar_one()
            == 1
        )
        other = at_the_second_step(another(app))
        assert give_code(other, code).status_int == 401
        assert give_code(other, phone.recovery_codes[4]).status_int == 303

    @pytest.mark.parametrize(
        "spell",
        [
            str.upper,
            lambda code: code.replace("-", ""),
            lambda code: code.replace("-", " "),
            lambda code: f" {code}\t",
            lambda code: code.replace("0", "O").replace("1", "l"),
            lambda code: code.replace("0", "o").replace("1", "I"),
        ],
    )
    def test_are_read_however_they_are_typed(self, browser, phone, spell):
        assert give_code(browser, spell(phone.recovery_codes[0])).status_int == 303

    def test_given_by_many_at_once_let_one_in(self, app, phone):
        browsers = [at_the_second_step(another(app)) for _ in range(4)]
        pages = [browser.get(ADDRESS) for browser in browsers]
        code = phone.recovery_codes[0]

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda page: fill_in(page, ADDRESS, code=code), pages))

        assert sorted(answer.status_int for answer in answers) == [303, 401, 401, 401]

    def test_of_others_do_not(self, app, browser):
        eve = another(app)
        sign_up(eve, email="eve@example.com", name="Eve")

        assert give_code(browser, turn_on(eve).recovery_codes[0]).status_int == 401

    def test_have_a_form_of_their_own_that_phones_show_letters_for(self, browser):
        page = browser.get(ADDRESS)
        digits = page.html.find("input", id="code")
        assert digits["inputmode"] == "numeric"
        assert digits["autocomplete"] == "one-time-code"

        page = page.click("Use a recovery code")

        letters = page.html.find("input", id="code")
        assert not letters.get("inputmode")
        answer = fill_in(page, f"{ADDRESS}?with=recovery-code", code=WRONG)
        assert answer.status_int == 401
        assert not answer.html.find("input", id="code").get("inputmode")


class TestThrottling:
    @pytest.fixture
    def app(self, strict_wsgi_app, db):
        return webtest.TestApp(strict_wsgi_app, extra_environ=HOST)

    def test_after_so_many_wrong_ones_the_right_one_is_refused_too(self, app, browser, phone, db):
        for _ in range(3):
            assert give_code(browser, WRONG).status_int == 401

        answer = give_code(browser, good_code(db, phone))

        assert answer.status_int == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
        assert "Too many attempts." in answer.html.find(attrs={"role": "alert"}).get_text()
        assert shown_values(answer) == {"code": ""}
        assert greeting(browser) is None
        assert kinds(db).count("throttled") == 1

    def test_the_form_and_the_answer_to_programs_say_so(self, app, browser):
        for _ in range(3):
            give_code(browser, WRONG)
        page = browser.get(f"{ADDRESS}?with=recovery-code")

        answer = fill_in(page, f"{ADDRESS}?with=recovery-code", code="a" * 24)

        assert answer.status_int == 429
        assert answer.html.find("label", attrs={"for": "code"}).get_text() == "Recovery code"
        answer = browser.post_json(ADDRESS, {"code": WRONG}, status=429)
        assert answer.json["error"]["code"] == "too_many_attempts"
        assert "Retry-After" in answer.headers

    def test_slow_guessing_comes_to_an_end_too(self, app, browser, phone, db):
        """The 51st wrong code in thirty days, however far apart they are."""
        give_code(browser, WRONG)
        slow = "UPDATE throttles SET count = 50 WHERE resets_at > now() + interval '29 days'"
        assert db.execute(text(slow)).rowcount == 1

        answer = give_code(browser, good_code(db, phone))

        assert answer.status_int == 429
        assert "Wait 30 days, then try again." in answer
        owner = at_the_second_step(sign_out_of(app))
        assert give_code(owner, good_code(db, phone)).status_int == 303
        assert give_code(browser, phone.recovery_codes[0]).status_int == 303

    def test_another_pending_sign_in_does_not_give_more(self, app, browser, phone, db):
        for _ in range(3):
            give_code(browser, WRONG)
        other = at_the_second_step(another(app))

        assert give_code(other, good_code(db, phone)).status_int == 429

    def test_recovery_codes_count_as_well(self, app, browser, phone):
        for _ in range(3):
            assert give_code(browser, "a" * 24).status_int == 401

        assert give_code(browser, phone.recovery_codes[0]).status_int == 429

    def test_the_right_code_forgets_the_wrong_ones(self, app, browser, phone, db):
        for _ in range(2):
            give_code(browser, WRONG)
        assert give_code(browser, phone.recovery_codes[0]).status_int == 303
        other = at_the_second_step(another(app))
        for _ in range(2):
            give_code(other, WRONG)

        assert give_code(other, good_code(db, phone)).status_int == 303

    def test_a_code_that_was_used_does_not(self, app, browser, phone, db):
        """Else whoever has seen one could guess without end while it lasts."""
        code = good_code(db, phone)
        give_code(browser, code)
        other = at_the_second_step(another(app))
        answers = [give_code(other, given).status_int for given in (WRONG, code, WRONG, code)]

        assert answers == [401, 401, 401, 429]

    def test_many_at_once_are_all_counted(self, app, phone, db):
        pages = [at_the_second_step(another(app)).get(ADDRESS) for _ in range(6)]

        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda page: fill_in(page, ADDRESS, code=WRONG), pages))

        assert sorted(answer.status_int for answer in answers) == [401] * 3 + [429] * 3


class TestTellingTheOwner:
    """Whoever gives a wrong code knows the password."""

    def letters(self, db):
        told = "SELECT recipient, params FROM outbox WHERE kind = 'second_factor_failed'"
        return db.execute(text(told)).all()

    def test_of_the_first_wrong_code_and_not_of_each(self, browser, db):
        for _ in range(3):
            give_code(browser, WRONG)

        [letter] = self.letters(db)
        assert letter.recipient == EMAIL
        assert letter.params["name"] == NAME
        assert letter.params["at"]
        assert WRONG not in letter.params.values()

    def test_not_of_their_own_mistakes(self, app, phone, db):
        browser = at_the_second_step(sign_out_of(app))
        give_code(browser, WRONG)

        assert self.letters(db) == []

    def test_many_at_once_are_one_letter(self, app, phone, db):
        pages = [at_the_second_step(another(app)).get(ADDRESS) for _ in range(4)]

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda page: fill_in(page, ADDRESS, code=WRONG), pages))

        assert len(self.letters(db)) == 1


class TestWhilePending:
    def test_no_route_treats_the_browser_otherwise_than_a_visitors(self, app, browser):
        visitor = another(app)
        visitor.get("/sign-in")
        routes = app.app.registry.introspector.get_category("routes")
        patterns = {route["introspectable"]["pattern"] for route in routes}
        paths = {
            re.sub(r"{\w+}", str(uuid4()), pattern) for pattern in patterns if "*" not in pattern
        } - {ADDRESS, "/sign-in", "/sign-out"}
        assert len(paths) > 10

        for path in sorted(paths):
            for pending, other in (
                [one.get(path, headers=JSON, status="*") for one in (browser, visitor)],
                [one.post_json(path, {}, status="*") for one in (browser, visitor)],
            ):
                assert pending.status == other.status, path
                assert NAME not in pending.text, path
        assert greeting(browser) is None

    def test_the_person_may_give_up(self, app, browser, phone, db):
        browser.post("/sign-out", status=303)

        assert path_of(browser.get(ADDRESS)) == "/sign-in"
        answer = browser.post_json(ADDRESS, {"code": good_code(db, phone)}, status=401)
        assert answer.json["error"]["code"] == "unauthenticated"
        assert greeting(browser) is None

    def test_another_browser_is_not_at_the_second_step(self, app, browser, phone, db):
        other = another(app)

        assert path_of(other.get(ADDRESS)) == "/sign-in"
        assert other.post_json(ADDRESS, {"code": good_code(db, phone)}, status=401)
        assert greeting(other) is None

    def test_it_is_over_after_ten_minutes(self, browser, phone, db):
        page = browser.get(ADDRESS)
        begin_earlier(db, minutes=10)

        answer = fill_in(page, ADDRESS, code=good_code(db, phone))

        assert_expired(answer)
        assert greeting(browser) is None
        assert path_of(browser.get(ADDRESS)) == "/sign-in"

    def test_it_is_not_over_before(self, browser, phone, db):
        begin_earlier(db, minutes=9)

        assert give_code(browser, good_code(db, phone)).status_int == 303

    def test_opening_the_page_too_late_says_so(self, browser, db):
        begin_earlier(db, minutes=11)

        page = browser.get(ADDRESS, status=401)

        assert_expired(page)
        assert "/sign-in?next=%2Faccount" in page

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE users SET status = 'disabled'",
            "UPDATE users SET password_hash = '$2b$04$' || repeat('a', 53)",
            "UPDATE users SET second_factor_at = NULL",
            "DELETE FROM users",
        ],
    )
    def test_it_is_over_when_the_account_is_not_as_it_was(self, browser, phone, db, change):
        page = browser.get(ADDRESS)
        code = good_code(db, phone)
        db.execute(text(change))

        assert_expired(fill_in(page, ADDRESS, code=code))

        assert greeting(browser) is None

    def test_a_change_of_the_password_in_another_browser_ends_it(self, app, browser, phone, db):
        page = app.get("/account/password")
        fields = {"current_password": PASSWORD, "new_password": "quite another password"}
        fill_in(page, "/account/password", **fields)

        answer = browser.post_json(ADDRESS, {"code": good_code(db, phone)}, status=401)

        assert answer.json["error"]["code"] == "sign_in_expired"
        assert greeting(browser) is None

    def test_somebody_who_has_signed_in_meanwhile_is_not_replaced(self, app, browser, phone, db):
        sign_up(browser, email="bo@example.com", name="Bo")

        answer = browser.post_json(ADDRESS, {"code": good_code(db, phone)}, status=401)

        assert answer.json["error"]["code"] == "unauthenticated"
        assert greeting(browser) == "Bo"
        sign_out(browser)
        assert path_of(browser.get(ADDRESS)) == "/sign-in"

    @pytest.mark.parametrize(
        "value",
        [
            "7",
            "null",
            "[]",
            '{"user_id": 5}',
            '{"user_id": {"$uuid": "00000000-0000-0000-0000-000000000001"}}',
        ],
    )
    def test_what_nobody_here_has_written_is_no_pending_sign_in(self, browser, phone, db, value):
        statement = (
            "UPDATE sessions SET data = data || jsonb_build_object(:key, CAST(:value AS jsonb))"
        )
        db.execute(text(statement), {"key": PENDING, "value": value})

        assert_not_pending(browser, phone, db)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("user_id", '"x"'),
            ("user_id", '{"$uuid": "x"}'),
            ("fingerprint", "7"),
            ("fingerprint", '"é"'),
            ("since", '"2026-01-01T00:00:00+00:00"'),
            ("since", '{"$datetime": "2026-01-01T00:00:00"}'),
            ("persistent", "1"),
            ("next", "null"),
        ],
    )
    def test_nor_is_what_has_one_part_of_it_wrong(self, browser, phone, db, name, value):
        put_into_pending(db, name, value)

        assert_not_pending(browser, phone, db)

    def test_a_target_elsewhere_is_not_gone_to(self, browser, phone, db):
        put_into_pending(db, "next", '"//evil.example/"')

        assert path_of(give_code(browser, good_code(db, phone))) == "/account"

    def test_a_time_at_the_end_of_all_is_no_error(self, browser, phone, db):
        put_into_pending(db, "since", '{"$datetime": "9999-12-31T23:59:59+00:00"}')

        browser.get(ADDRESS, status=200)

    def test_a_target_that_is_too_long_to_be_kept_is_dropped(self, app, phone, db):
        browser = another(app)
        page = browser.get("/sign-in")
        form = form_to(page, "/sign-in")
        form["email"], form["password"] = EMAIL, PASSWORD
        form["next"] = "/" + "a" * 3000
        form.submit(status=303)

        assert path_of(give_code(browser, good_code(db, phone))) == "/account"


@pytest.mark.parametrize("rounds", ["4", "5"], ids=["as it is", "hashed anew"])
def test_sign_in_that_was_under_way_when_the_factor_was_turned_on_does_not_slip_in(
    make_lab, lab_app, view, rounds
):
    """Its password was found to be right before, and its session would be stored after."""
    sign_up(lab_app)
    thief = webtest.TestApp(make_lab(password__bcrypt_rounds=rounds), extra_environ=HOST)

    def late_sign_in(request):
        hasher = request.services._shared.hasher
        verify = hasher.verify

        def slow_verify(*given):
            hasher.verify = verify
            turn_on(lab_app)
            return verify(*given)

        hasher.verify = slow_verify
        found = request.services.passwords.authenticate(EMAIL, PASSWORD, Visitor(None))
        return {"has_second_factor": found.user.has_second_factor}

    assert thief.get(view(late_sign_in)).json == {"has_second_factor": True}


def test_nothing_secret_is_stored_or_logged(migrated_url, lab_tables, db, caplog):
    caplog.set_level(logging.DEBUG)
    wsgi_app = make_app(migrated_url, sqlalchemy__echo="true", pyramid__includes=lab.INCLUDE)
    app = webtest.TestApp(wsgi_app, extra_environ=HOST)
    sign_up(app)
    phone = turn_on(app)
    browser = at_the_second_step(another(app))
    codes = [good_code(db, phone), WRONG]
    stored = everything_in(db)
    for code in reversed(codes):
        give_code(browser, code)
    stored += everything_in(db)
    give_code(at_the_second_step(another(app)), phone.recovery_codes[0])
    stored += everything_in(db)
    wsgi_app.registry[ENGINE].dispose()

    assert "INSERT INTO second_factors" in caplog.text
    assert "recovery_code_used" in stored
    bare = [code.replace("-", "") for code in phone.recovery_codes]
    for secret in [phone.secret, *phone.recovery_codes, *bare]:
        assert secret not in stored
        assert secret not in caplog.text
    for code in codes:
        assert not re.search(rf"(?<![\d.]){code}(?!\d)", caplog.text)


# Helpers.


def begin_earlier(db, minutes):
    """Puts the beginning of the second step so far into the past."""
    statement = """
        UPDATE sessions SET data = jsonb_set(
            data, '{authapp.second_factor,since,$datetime}',
            to_jsonb((data #>> '{authapp.second_factor,since,$datetime}')::timestamptz
                - make_interval(mins => CAST(:minutes AS int))))
        WHERE data ? 'authapp.second_factor'
        """
    assert db.execute(text(statement), {"minutes": minutes}).rowcount == 1


def put_into_pending(db, name, value):
    statement = """
        UPDATE sessions SET data = jsonb_set(data, ARRAY[:key, :name], CAST(:value AS jsonb))
        WHERE data -> :key ? :name
        """
    given = {"key": PENDING, "name": name, "value": value}
    assert db.execute(text(statement), given).rowcount == 1


def assert_not_pending(browser, phone, db):
    """And the person can begin anew."""
    assert path_of(browser.get(ADDRESS)) == "/sign-in"
    answer = browser.post_json(ADDRESS, {"code": good_code(db, phone)}, status=401)
    assert answer.json["error"]["code"] == "unauthenticated"
    assert greeting(browser) is None
    assert path_of(sign_in(browser)) == ADDRESS
    assert give_code(browser, good_code(db, phone)).status_int == 303


def sign_out_of(app):
    """The browser, which is known to the account that was signed in."""
    sign_out(app)
    return app


def assert_expired(answer):
    assert answer.status_int == 401
    assert answer.html.h1.get_text() == "Please sign in again"
