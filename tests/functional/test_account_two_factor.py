"""Turning two-factor on, its recovery codes, and turning it off."""

import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import parse_qs, quote, urlsplit

import pyotp
import pytest
import webtest
from sqlalchemy import text

from authapp.repositories import ENGINE
from authapp.security.recent import CONFIRMED_AT
from authapp.views.account_two_factor import SET_UP as KEPT
from tests.conftest import make_app
from tests.functional import lab
from tests.functional.conftest import HOST
from tests.functional.lab import Note
from tests.functional.second_factor import (
    CODES,
    DISABLE,
    SET_UP,
    STATE,
    WRONG,
    at_the_second_step,
    codes_on,
    give_code,
    good_code,
    secret_on,
    turn_on,
)
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    count,
    csrf_token,
    errors_beside,
    fill_in,
    greeting,
    path_of,
    shown_values,
    sign_in,
    sign_up,
    the_session,
)

RECOVERY_CODE = re.compile(r"[0-9a-z]{4}(-[0-9a-z]{4}){5}")


def set_up_page(app):
    return fill_in(app.get(STATE), STATE).follow()


def is_on(db):
    return db.execute(text("SELECT second_factor_at IS NOT NULL FROM users")).scalar_one()


def kinds(db):
    return db.execute(text("SELECT kind FROM security_events ORDER BY id")).scalars().all()


class TestSettingUp:
    def test_shows_the_same_secret_to_be_scanned_and_to_be_typed(self, app):
        sign_up(app)
        set_up_page(app)

        shown = app.get(SET_UP, headers=JSON).json

        assert secret_on(app.get(SET_UP)) == shown["secret"]
        uri = urlsplit(shown["uri"])
        assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", f"/authapp:{quote(EMAIL)}")
        query = parse_qs(uri.query)
        assert query == {"secret": [shown["secret"]], "issuer": ["authapp"]}
        assert len(pyotp.TOTP(shown["secret"]).byte_secret()) == 20

    def test_picture_needs_neither_styles_nor_scripts_and_has_a_name(self, app):
        sign_up(app)

        page = set_up_page(app)

        picture = page.html.find(attrs={"role": "img"})
        assert "QR code" in picture["aria-label"]
        assert picture.svg.find(attrs={"fill": "#fff"}), "it needs a light ground"
        assert not re.search(r"\sstyle=|<style|\son\w+=|<script", str(picture))
        assert int(picture.svg["viewbox"].split()[2]) > 40

    def test_changes_nothing_before_the_code(self, app, db):
        sign_up(app)
        set_up_page(app)

        assert not is_on(db)
        assert path_of(sign_in(another(app))) == "/account"
        assert kinds(db).count("second_factor_enabled") == 0

    def test_begun_anew_has_another_secret(self, app):
        sign_up(app)
        first = set_up_page(app)
        second = set_up_page(app)
        assert secret_on(first) != secret_on(second)

        refused = fill_in(second, SET_UP, code=pyotp.TOTP(secret_on(first)).now())

        assert refused.status_int == 400

    def test_not_begun_leads_back(self, app):
        sign_up(app)

        assert path_of(app.get(SET_UP)) == STATE
        answer = app.post_json(SET_UP, {"code": WRONG}, status=409)
        assert answer.json["error"]["code"] == "second_factor_not_set_up"

    @pytest.mark.parametrize(
        ("typed", "message"),
        [
            (WRONG, "This code is not right, or it has been used already."),
            ("", "This field is required."),
            ("12345", "Enter the six digits that your app shows."),
            ("a" * 24, "Enter the six digits that your app shows."),
        ],
    )
    def test_tells_beside_the_field_what_is_wrong_with_the_code(self, app, db, typed, message):
        sign_up(app)
        page = set_up_page(app)

        refused = fill_in(page, SET_UP, code=typed)

        assert refused.status_int == 400
        assert errors_beside(refused) == {"code": [message]}
        assert secret_on(refused) == secret_on(page)
        assert not is_on(db)
        assert count(db, "recovery_codes") == 0

    def test_is_for_the_session_alone_that_has_begun_it(self, app, db):
        """A thief begins one and notes the secret; the owner is not to be shown it as their own."""
        sign_up(app)
        sign_in(thief := another(app))
        noted = secret_on(set_up_page(thief))

        assert path_of(app.get(SET_UP)) == STATE
        answer = app.get(SET_UP, headers=JSON, status=409)
        assert answer.json["error"]["code"] == "second_factor_not_set_up"
        code = pyotp.TOTP(noted).now()
        app.post_json(SET_UP, {"code": code}, status=409)
        assert not is_on(db)
        assert secret_on(set_up_page(app)) != noted
        assert path_of(thief.get(SET_UP)) == STATE

    @pytest.mark.parametrize("shares_the_session", [True, False])
    def test_does_not_outlive_a_change_of_the_password(self, app, db, shares_the_session):
        sign_up(app)
        thief = another(app)
        if shares_the_session:
            thief.set_cookie("session", app.cookies["session"])
        else:
            sign_in(thief)
        set_up_page(thief)
        page = app.get("/account/password")
        fields = {"current_password": PASSWORD, "new_password": "quite another password"}
        fill_in(page, "/account/password", **fields)

        assert path_of(app.get(SET_UP)) == STATE

    @pytest.mark.parametrize("value", ["7", '"another"', "null", '{"$uuid": "x"}', "[]"])
    def test_is_none_where_the_session_says_something_else(self, app, db, value):
        sign_up(app)
        set_up_page(app)
        statement = (
            "UPDATE sessions SET data = data || jsonb_build_object(:key, CAST(:value AS jsonb))"
        )
        db.execute(text(statement), {"key": KEPT, "value": value})

        assert path_of(app.get(SET_UP)) == STATE

    def test_leaves_nothing_in_the_session(self, app, db):
        sign_up(app)
        set_up_page(app)
        assert KEPT in the_session(db).data
        turn_on(app)

        assert KEPT not in the_session(db).data

    def test_takes_a_recent_sign_in_at_each_step(self, app, db):
        sign_up(app)
        page = set_up_page(app)
        code = pyotp.TOTP(secret_on(page)).now()
        db.execute(text("UPDATE sessions SET data = data - :key"), {"key": CONFIRMED_AT})

        for answer in (
            app.post_json(STATE, {}, status=403),
            app.post_json(SET_UP, {"code": code}, status=403),
            app.get(SET_UP, headers=JSON, status=403),
        ):
            assert answer.json["error"]["code"] == "confirmation_required"
        assert not is_on(db)

    def test_too_many_codes_are_refused_with_the_page(self, app, db):
        sign_up(app)
        page = set_up_page(app)
        for _ in range(10):
            app.post_json(SET_UP, {"code": WRONG}, status=400)

        refused = fill_in(page, SET_UP, code=pyotp.TOTP(secret_on(page)).now())

        assert_throttled(refused)
        assert secret_on(refused) == secret_on(page)
        answer = app.post_json(SET_UP, {"code": WRONG}, status=429)
        assert answer.json["error"]["code"] == "too_many_attempts"
        assert not is_on(db)

    def test_with_the_right_code_turns_it_on_and_shows_recovery_codes_once(self, app, db):
        sign_up(app)
        page = set_up_page(app)

        shown = fill_in(page, SET_UP, code=pyotp.TOTP(secret_on(page)).now())

        assert shown.status_int == 200
        assert shown.headers["Cache-Control"] == "no-store"
        codes = codes_on(shown)
        assert len(set(codes)) == 10
        assert all(RECOVERY_CODE.fullmatch(code) for code in codes)
        assert is_on(db)
        assert kinds(db).count("second_factor_enabled") == 1
        for address in (STATE, CODES, "/account"):
            assert codes[0] not in app.get(address)

    def test_sent_again_by_reloading_changes_nothing(self, app, db):
        sign_up(app)
        page = set_up_page(app)
        code = pyotp.TOTP(secret_on(page)).now()
        fill_in(page, SET_UP, code=code)
        before = hashes(db)

        again = fill_in(page, SET_UP, code=code)

        assert again.status_int == 400
        assert again.html.h1.get_text() == "Codes are shown only once"
        assert again.html.main.find("a", href=STATE)
        assert hashes(db) == before
        assert path_of(app.get(SET_UP)) == STATE

    def test_ends_all_other_sessions_and_renews_this_one(self, app):
        sign_up(app)
        other, thief = another(app), another(app)
        sign_in(other)
        old_cookie = app.cookies["session"]

        turn_on(app)

        assert greeting(app) == NAME
        assert greeting(other) is None
        thief.set_cookie("session", old_cookie)
        assert greeting(thief) is None

    def test_writes_to_the_owner(self, app, db):
        sign_up(app)
        turn_on(app)

        letters = "SELECT recipient FROM outbox WHERE kind = 'second_factor_enabled'"
        assert db.execute(text(letters)).scalars().all() == [EMAIL]

    def test_is_refused_where_it_is_on(self, app):
        sign_up(app)
        turn_on(app)

        page = app.post(STATE, {"csrf_token": csrf_token(app.get("/account"))}, status=409)

        assert page.html.h1.get_text() == "Two-factor authentication is on already"
        answer = app.post_json(STATE, {}, status=409)
        assert answer.json["error"]["code"] == "second_factor_on"

    def test_twice_at_once_gives_one_set_of_codes(self, app, db):
        sign_up(app)
        page = set_up_page(app)
        pages = [app.get(SET_UP), app.get(SET_UP)]
        code = pyotp.TOTP(secret_on(page)).now()

        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda p: fill_in(p, SET_UP, code=code), pages))

        assert [answer.status_int for answer in answers].count(200) == 1
        assert count(db, "recovery_codes") == 10
        assert kinds(db).count("second_factor_enabled") == 1

    def test_all_of_it_is_committed_or_nothing(self, lab_app, db, view):
        sign_up(lab_app)
        other = another(lab_app)
        sign_in(other)
        page = set_up_page(lab_app)
        code = pyotp.TOTP(secret_on(page)).now()

        def act(request):
            session = request.session
            begun = session["authapp.second_factor_set_up"]
            request.services.second_factors.confirm(request.identity, begun, code, keep=session.id)
            request.dbsession.add_all([Note(text="same"), Note(text="same")])
            return {}

        lab_app.get(view(act), status=500)

        assert not is_on(db)
        assert count(db, "recovery_codes") == 0
        assert greeting(other) == NAME
        assert fill_in(page, SET_UP, code=code).status_int == 200


class TestPrograms:
    def test_do_all_of_it(self, app, db):
        sign_up(app)
        state = app.get(STATE, headers=JSON).json
        assert state["csrf_token"]
        assert state["second_factor"] == {
            "enabled": False,
            "since": None,
            "recovery_codes_left": 0,
            "required": False,
        }

        secret = app.post_json(STATE, {}, status=201).json["secret"]
        assert app.get(SET_UP, headers=JSON).json["csrf_token"]
        answer = app.post_json(SET_UP, {"code": pyotp.TOTP(secret).now()}, status=200)

        assert len(answer.json["recovery_codes"]) == 10
        state = app.get(STATE, headers=JSON).json["second_factor"]
        assert (state["enabled"], state["recovery_codes_left"]) == (True, 10)
        assert state["since"].endswith("+00:00")
        assert app.get(CODES, headers=JSON).json["csrf_token"]
        body = {"current_password": PASSWORD, "code": answer.json["recovery_codes"][0]}
        renewed = app.post_json(CODES, body, status=200).json["recovery_codes"]
        assert not set(renewed) & set(answer.json["recovery_codes"])
        assert app.get(DISABLE, headers=JSON).json["csrf_token"]
        app.post_json(DISABLE, body | {"code": renewed[0]}, status=204)
        assert not is_on(db)

    def test_are_told_what_is_wrong(self, app):
        sign_up(app)
        app.post_json(STATE, {})

        answer = app.post_json(SET_UP, {"code": WRONG}, status=400)

        assert answer.json["error"]["code"] == "invalid_input"
        assert list(answer.json["error"]["fields"]) == ["code"]


def hashes(db):
    rows = db.execute(text("SELECT code_hash FROM recovery_codes")).scalars()
    return {bytes(row) for row in rows}


class TestTheState:
    def test_is_shown_with_the_number_of_codes_that_are_left(self, app, db):
        sign_up(app)
        assert "Off" in app.get("/account").html.find("a", href=STATE).find_parent("li").get_text()
        phone = turn_on(app)
        assert "On" in app.get("/account").html.find("a", href=STATE).find_parent("li").get_text()
        assert "10 left" in app.get(STATE)

        for code in phone.recovery_codes[:7]:
            give_code(at_the_second_step(another(app)), code)

        page = app.get(STATE)
        assert "3 left" in page
        assert "Get new ones soon" in page


class TestRenewingTheCodes:
    def test_makes_the_old_ones_void(self, app, db):
        sign_up(app)
        phone = turn_on(app)

        shown = fill_in(app.get(CODES), CODES, **both(phone))

        assert shown.status_int == 200
        assert count(db, "recovery_codes") == 10
        assert not set(codes_on(shown)) & set(phone.recovery_codes)
        assert kinds(db)[-1] == "recovery_codes_renewed"
        browser = at_the_second_step(another(app))
        assert give_code(browser, phone.recovery_codes[1]).status_int == 401
        assert give_code(browser, codes_on(shown)[0]).status_int == 303

    def test_sent_again_by_reloading_changes_nothing(self, app, db):
        sign_up(app)
        phone = turn_on(app)
        page = app.get(CODES)
        fill_in(page, CODES, **both(phone))
        before = hashes(db)

        again = fill_in(page, CODES, **both(phone))

        assert again.status_int == 400
        assert again.html.h1.get_text() == "Codes are shown only once"
        assert hashes(db) == before

    def test_needs_that_it_is_on(self, app):
        sign_up(app)

        assert path_of(app.get(CODES)) == STATE
        app.post_json(CODES, {"current_password": PASSWORD}, status=409)


class TestTurningItOff:
    def test_makes_the_password_enough(self, app, db):
        sign_up(app)
        phone = turn_on(app)

        answer = fill_in(app.get(DISABLE), DISABLE, **both(phone))

        assert path_of(answer) == STATE
        assert "has been turned off" in answer.follow()
        assert greeting(app) == NAME
        assert path_of(sign_in(another(app))) == "/account"
        assert count(db, "second_factors") == count(db, "recovery_codes") == 0
        assert "second_factor_disabled" in kinds(db)

    def test_needs_that_it_is_on(self, app):
        sign_up(app)

        assert path_of(app.get(DISABLE)) == STATE
        app.post_json(DISABLE, {"current_password": PASSWORD}, status=409)

    def test_ends_sign_ins_that_wait_for_a_code(self, app, db):
        sign_up(app)
        phone = turn_on(app)
        browser = at_the_second_step(another(app))
        fill_in(app.get(DISABLE), DISABLE, **both(phone))

        body = {"code": phone.recovery_codes[1]}
        answer = browser.post_json("/sign-in/second-factor", body, status=401)

        assert answer.json["error"]["code"] == "sign_in_expired"
        assert greeting(browser) is None


@pytest.mark.parametrize("address", [CODES, DISABLE])
class TestBothFactors:
    """What weakens the account takes what its owner has, besides what others may have learnt."""

    @pytest.mark.parametrize(
        ("wrong", "errors"),
        [
            (
                {"current_password": "wrong"},
                {"current_password": ["This is not your current password."]},
            ),
            (
                {"code": WRONG},
                {"code": ["This code is not right, or it has been used already."]},
            ),
            ({"code": ""}, {"code": ["This field is required."]}),
            (
                {"code": "12345"},
                {"code": ["This is neither six digits from your app nor a recovery code."]},
            ),
        ],
    )
    def test_are_taken(self, app, db, address, wrong, errors):
        sign_up(app)
        phone = turn_on(app)
        before = hashes(db)
        given = both(phone) | wrong

        page = fill_in(app.get(address), address, **given)

        assert page.status_int == 400
        assert errors_beside(page) == errors
        assert set(shown_values(page).values()) <= {"", EMAIL}
        assert list(app.post_json(address, given, status=400).json["error"]["fields"]) == [*errors]
        assert is_on(db)
        assert hashes(db) == before

    def test_the_code_may_be_one_of_the_app_and_is_used_up(self, app, db, address):
        sign_up(app)
        phone = turn_on(app)
        code = good_code(db, phone)
        browser = at_the_second_step(another(app))
        assert give_code(browser, code).status_int == 303

        given = {"current_password": PASSWORD, "code": code}
        app.post_json(address, given, status=400)
        db.execute(text("UPDATE second_factors SET last_step = NULL"))
        app.post_json(address, given)
        if address == CODES:
            app.post_json(address, given, status=400)

    def test_a_wrong_code_is_written_down_and_told_to_the_owner(self, app, db, address):
        """A thief has the session's cookie and the password, and nothing else."""
        sign_up(app)
        turn_on(app)
        thief = another(app)
        thief.set_cookie("session", app.cookies["session"])

        for _ in range(2):
            given = {"current_password": PASSWORD, "code": WRONG}
            assert fill_in(thief.get(address), address, **given).status_int == 400

        assert kinds(db)[-2:] == ["wrong_code"] * 2
        told = "SELECT recipient FROM outbox WHERE kind = 'second_factor_failed'"
        assert db.execute(text(told)).scalars().all() == [EMAIL]

    def test_codes_are_not_guessed_without_end(self, app, db, address):
        sign_up(app)
        phone = turn_on(app)
        app.set_cookie("device", "")
        given = both(phone)
        for _ in range(10):
            app.post_json(address, given | {"code": WRONG}, status=400)

        page = fill_in(app.get(address), address, **given)

        assert_throttled(page)
        answer = app.post_json(address, given, status=429)
        assert answer.json["error"]["code"] == "too_many_attempts"
        assert is_on(db)
        assert count(db, "recovery_codes") == 10

    def test_one_of_two_at_once_has_the_code(self, app, db, address):
        sign_up(app)
        phone = turn_on(app)
        pages = [app.get(address), app.get(address)]

        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda p: fill_in(p, address, **both(phone)), pages))

        assert max(answer.status_int for answer in answers) < 500
        kind = "recovery_codes_renewed" if address == CODES else "second_factor_disabled"
        assert kinds(db).count(kind) == 1


def both(phone):
    """Both factors of somebody who still has all recovery codes."""
    return {"current_password": PASSWORD, "code": phone.recovery_codes[0]}


def assert_throttled(page):
    """The form itself says so."""
    assert page.status_int == 429
    assert 0 < int(page.headers["Retry-After"]) <= 15 * 60
    alert = page.html.main.find(attrs={"role": "alert"})
    assert "Too many attempts. Wait 15 minutes, then try again." in alert.get_text()
    assert page.html.title.get_text().startswith("Error: ")
    assert page.html.find("input", id="code").get("value", "") == ""


@pytest.mark.parametrize("address", [STATE, SET_UP, CODES, DISABLE])
def test_visitors_are_sent_to_sign_in(app, address):
    assert path_of(app.get(address, status=303)).startswith("/sign-in?next=")
    assert app.post_json(address, {}, status=401).json["error"]["code"] == "unauthenticated"


@pytest.mark.parametrize("address", [STATE, SET_UP, CODES, DISABLE])
def test_forms_need_their_token(app, address, db):
    sign_up(app)

    app.post(address, {"code": WRONG, "current_password": PASSWORD}, status=400)

    assert count(db, "second_factors") == 0


class TestRequiredOfAdmins:
    @pytest.fixture
    def app(self, strict_wsgi_app, lab_tables, db):
        return webtest.TestApp(strict_wsgi_app, extra_environ=HOST)

    @pytest.fixture
    def admin(self, app, db):
        sign_up(app)
        db.execute(text("UPDATE users SET role = 'admin'"))
        return app

    def test_without_it_an_admin_is_a_member_and_is_told_what_to_do(self, admin):
        admin.get("/account", status=200)

        page = admin.get("/lab-admin", status=403)

        assert page.html.h1.get_text() == "Turn on two-factor authentication first"
        assert "Administrators need this here." in page.click("Turn it on")
        answer = admin.get("/lab-admin", headers=JSON, status=403)
        assert answer.json["error"]["code"] == "second_factor_missing"

    def test_with_it_an_admin_is_one(self, admin):
        turn_on(admin)

        admin.get("/lab-admin", status=200)

    def test_an_admin_cannot_turn_it_off(self, admin, db):
        turn_on(admin)

        assert DISABLE not in admin.get(STATE)
        page = admin.get(DISABLE, status=403)
        assert page.html.h1.get_text() == "You cannot turn this off"
        answer = admin.post_json(DISABLE, {"current_password": PASSWORD}, status=403)
        assert answer.json["error"]["code"] == "second_factor_required"
        assert is_on(db)
        admin.get("/lab-admin", status=200)

    def test_resources_grant_nothing_to_the_role_without_it(self, admin, view):
        def may(request):
            document = SimpleNamespace(__acl__=[("Allow", "role:admin", "edit")])
            return bool(request.has_permission("edit", document))

        address = view(may)
        assert admin.get(address).json is False
        turn_on(admin)
        assert admin.get(address).json is True

    def test_members_may_do_without(self, app):
        sign_up(app)
        app.get("/lab-admin", status=403)
        phone = turn_on(app)

        answer = fill_in(app.get(DISABLE), DISABLE, **both(phone))

        assert answer.status_int == 303


@pytest.fixture(scope="module")
def strict_wsgi_app(migrated_url):
    wsgi_app = make_app(
        migrated_url, second_factor__required_for_admins="true", pyramid__includes=lab.INCLUDE
    )
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


class TestKeys:
    """`session.secret` has one line, then another above it, then the first is dropped."""

    OLD, NEW = "not secret: the tests know it anyway", "another one that the tests know as well"

    @pytest.fixture
    def app_with(self, migrated_url, db):
        made = []

        def make(*secrets):
            made.append(make_app(migrated_url, session__secret="\n".join(secrets)))
            return webtest.TestApp(made[-1], extra_environ=HOST)

        yield make
        for wsgi_app in made:
            wsgi_app.registry[ENGINE].dispose()

    def test_a_secret_is_sealed_anew_at_its_next_use(self, app_with, db):
        first = app_with(self.OLD)
        sign_up(first)
        phone = turn_on(first)
        both = app_with(self.NEW, self.OLD)
        sealed = sealed_secret(db)
        assert give_code(at_the_second_step(both), good_code(db, phone)).status_int == 303
        assert sealed_secret(db) != sealed
        db.execute(text("UPDATE second_factors SET last_step = NULL"))

        second = at_the_second_step(app_with(self.NEW))

        assert give_code(second, good_code(db, phone)).status_int == 303

    def test_once_its_key_was_dropped_a_recovery_code_still_signs_in(self, app_with, db, caplog):
        first = app_with(self.OLD)
        sign_up(first)
        phone = turn_on(first)
        browser = at_the_second_step(app_with(self.NEW))

        page = give_code(browser, good_code(db, phone))

        assert page.status_int == 503
        assert "session.secret" in caplog.text
        assert phone.secret not in caplog.text
        assert greeting(browser) is None
        page = page.click("Use a recovery code")
        answer = fill_in(page, page.request.path_qs, code=phone.recovery_codes[0])
        assert answer.status_int == 303
        assert greeting(browser) == NAME

    def test_one_that_is_being_set_up_is_begun_anew(self, app_with, db):
        first = app_with(self.OLD)
        sign_up(first)
        set_up_page(first)
        kept = the_session(db).data[KEPT]
        second = app_with(self.NEW)
        sign_in(second)
        keep = "UPDATE sessions SET data = data || jsonb_build_object(:key, CAST(:kept AS text))"
        db.execute(text(keep), {"key": KEPT, "kept": kept})

        assert path_of(second.get(SET_UP)) == STATE
        turn_on(second)

    def test_once_its_key_was_dropped_a_recovery_code_turns_it_off(self, app_with, db):
        first = app_with(self.OLD)
        sign_up(first)
        phone = turn_on(first)
        browser = at_the_second_step(app_with(self.NEW))
        give_code(browser, phone.recovery_codes[1])
        given = {"current_password": PASSWORD, "code": good_code(db, phone)}

        page = fill_in(browser.get(DISABLE), DISABLE, **given)

        assert page.status_int == 503
        assert "You can use one of your recovery codes." in page
        assert page.html.find("a", string="Back to the page")["href"] == DISABLE
        answer = browser.post_json(DISABLE, given, status=503)
        assert answer.json["error"]["code"] == "second_factor_unavailable"
        assert fill_in(browser.get(DISABLE), DISABLE, **both(phone)).status_int == 303
        assert not is_on(db)


def sealed_secret(db):
    return bytes(db.execute(text("SELECT sealed_secret FROM second_factors")).scalar_one())
