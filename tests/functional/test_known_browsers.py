from datetime import UTC, datetime, timedelta
from uuid import uuid4

import bcrypt
import pytest
from sqlalchemy import text

from authapp.domain.tokens import Purpose
from authapp.domain.visitors import KnownBrowser
from authapp.security.known_browsers import LIFETIME, MAX_ACCOUNTS, RENEWAL, KnownBrowserSigner
from authapp.views.signing_in import signed_in, visitor_of
from tests.functional.lab import Note
from tests.functional.support import (
    EMAIL,
    NAME,
    PASSWORD,
    SECRET,
    another,
    cookies_set,
    device_cookie,
    fill_in,
    greeting,
    is_cleared,
    is_device,
    session_cookie,
    sign_in,
    sign_out,
    sign_up,
    token_for,
)

BO = "bo@example.com"
HTTPS = {"wsgi.url_scheme": "https"}


OTHER = "quite another password"
SIGNER = KnownBrowserSigner((SECRET,))


def known_in(value):
    """The one account in a cookie."""
    [browser] = SIGNER.loads(value)
    return browser


def accounts_in(value):
    return [browser.user_id for browser in SIGNER.loads(value)]


def browser_since(since, user_id):
    return KnownBrowser("i" * 22, user_id, since)


def devices(answer):
    return [cookie for cookie in cookies_set(answer) if is_device(cookie)]


def user_id(db, email=EMAIL):
    statement = text("SELECT id FROM users WHERE email = :email")
    return db.execute(statement, {"email": email}).scalar_one()


def stored_hash(db):
    return db.execute(text("SELECT password_hash FROM users")).scalar_one()


def new_device(db):
    """Of the sign-ins, the oldest first."""
    statement = text("SELECT details FROM security_events WHERE kind = 'signed_in' ORDER BY id")
    return [details["new_device"] for details in db.execute(statement).scalars()]


def letters(db):
    return db.execute(text("SELECT kind FROM outbox WHERE kind = 'new_sign_in'")).scalars().all()


# When it is given.


def test_signing_up_and_signing_in_give_it(app, db):
    first = device_cookie(sign_up(app))
    second = device_cookie(sign_in(another(app)))

    assert known_in(first.value).user_id == known_in(second.value).user_id == user_id(db)
    assert known_in(first.value).id != known_in(second.value).id


def test_program_gets_it_too(app, db):
    sign_up(another(app))

    answer = app.post_json("/sign-in", {"email": EMAIL, "password": PASSWORD}, status=200)

    assert known_in(device_cookie(answer).value).user_id == user_id(db)


def test_whoever_has_it_is_not_given_it_again(app):
    sign_up(app)
    before = app.cookies["device"]

    sign_out(app)
    assert devices(sign_in(app)) == []
    assert app.cookies["device"] == before


def test_it_is_renewed_when_it_has_been_in_use_for_long(app, db):
    sign_up(another(app))
    db.execute(text("UPDATE users SET password_changed_at = now() - interval '1 year'"))
    old = browser_since(datetime.now(UTC) - RENEWAL - timedelta(seconds=9), user_id(db))
    app.set_cookie("device", SIGNER.dumps([old]))

    renewed = known_in(device_cookie(sign_in(app)).value)

    assert renewed.user_id == old.user_id
    assert renewed.since > old.since
    assert new_device(db) == [False]


def test_two_who_share_a_browser_are_both_known_by_one_cookie(app, db):
    sign_up(another(app), email=BO, name="Bo")
    sign_up(app)
    sign_out(app)
    [cookie] = devices(sign_in(app, email=BO))  # New to him.

    for _ in range(3):
        for email in (EMAIL, BO):
            sign_out(app)
            assert devices(sign_in(app, email=email)) == []

    assert accounts_in(cookie.value) == [user_id(db, BO), user_id(db)]
    assert new_device(db) == [True] + [False] * 6
    assert letters(db) == ["new_sign_in"]


def test_of_many_who_share_a_browser_those_are_known_who_are_newest(app, db):
    emails = [f"user{number}@example.com" for number in range(MAX_ACCOUNTS + 1)]
    for email in emails:
        value = device_cookie(sign_up(app, email=email)).value
        sign_out(app)

    assert accounts_in(value) == [user_id(db, email) for email in reversed(emails[1:])]
    assert len(value) < 400
    for email in (emails[1], emails[0]):
        sign_in(app, email=email)
        sign_out(app)
    assert new_device(db) == [False, True]


def test_refusals_and_pages_give_none(app):
    sign_up(another(app))

    for answer in (
        app.get("/sign-in"),
        sign_in(app, password="wrong password"),
        sign_in(app, email=""),
        sign_up(app),
        app.get("/account", status=303),
    ):
        assert devices(answer) == []


def test_signing_out_keeps_it(app, db):
    sign_up(app)

    assert devices(sign_out(app)) == []
    sign_in(app)

    assert new_device(db) == [False]


def test_leaving_takes_it_away(app):
    sign_up(app)

    answer = fill_in(app.get("/account/delete"), "/account/delete", current_password=PASSWORD)

    assert answer.status_int == 303
    assert is_cleared(device_cookie(answer))
    assert "device" not in app.cookies


def test_leaving_takes_nothing_from_others_who_share_the_browser(app, db):
    sign_up(app, email=BO, name="Bo")
    sign_out(app)
    sign_up(app)

    answer = fill_in(app.get("/account/delete"), "/account/delete", current_password=PASSWORD)

    assert accounts_in(device_cookie(answer).value) == [user_id(db, BO)]
    assert devices(sign_in(app, email=BO)) == []
    assert new_device(db) == [False]


def test_leaving_with_a_browser_that_is_known_to_others_only_says_nothing(app, db):
    sign_up(app)
    app.set_cookie("device", SIGNER.dumps([browser_since(datetime.now(UTC), uuid4())]))

    answer = fill_in(app.get("/account/delete"), "/account/delete", current_password=PASSWORD)

    assert answer.status_int == 303
    assert devices(answer) == []


# When it is worth nothing any more: the password is another.


@pytest.fixture
def intruder(app):
    """A browser in which somebody has signed in who has come by the password."""
    browser = another(app)
    sign_up(app)
    sign_in(browser)
    sign_out(browser)
    return browser


def change_password(app):
    page = app.get("/account/password")
    fields = {"current_password": PASSWORD, "new_password": OTHER}
    return fill_in(page, "/account/password", **fields)


def reset_password(app, db):
    address = f"/reset-password/{token_for(db, user_id(db), Purpose.RESET_PASSWORD)}"
    return fill_in(app.get(address), address, new_password=OTHER)


def is_new(db, browser):
    """Whether signing in with the browser, with the password as it is now, is told of."""
    before = len(letters(db))
    browser.post_json("/sign-in", {"email": EMAIL, "password": OTHER}, status=200)
    assert new_device(db)[-1] is (len(letters(db)) > before)
    return new_device(db)[-1]


def has_attempts_of_its_own(app, browser):
    """Whether one can sign in with it while somebody attacks the account from elsewhere."""
    attacker = another(app)
    wrong = {"email": EMAIL, "password": "wrong password"}
    while attacker.post_json("/sign-in", wrong, status="*").status_int != 429:
        pass
    answer = browser.post_json("/sign-in", {"email": EMAIL, "password": OTHER}, status="*")
    return answer.status_int == 200


def test_changed_password_makes_every_other_browser_a_new_one(app, db, intruder):
    change_password(app)

    assert is_new(db, intruder)


def test_after_a_change_other_browsers_have_no_attempts_of_their_own(app, intruder):
    change_password(app)

    assert not has_attempts_of_its_own(app, intruder)


def test_owner_s_browser_stays_known_when_the_password_is_changed_in_it(app, db, intruder):
    before = app.cookies["device"]

    answer = change_password(app)

    after = known_in(device_cookie(answer).value)
    assert after.user_id == user_id(db)
    assert after.id != known_in(before).id
    assert not is_new(db, app)
    assert has_attempts_of_its_own(app, app)
    # Not so whoever has a copy of the cookie from before.
    intruder.set_cookie("device", before)
    assert not has_attempts_of_its_own(app, intruder)


def test_password_that_is_not_changed_after_all_leaves_browsers_as_they_were(app, db, intruder):
    fields = {"current_password": "wrong password", "new_password": OTHER}
    answer = app.post_json("/account/password", fields, status=400)

    assert devices(answer) == []
    sign_in(intruder)
    assert new_device(db) == [True, False]


def test_others_who_share_the_browser_stay_known_when_one_changes_the_password(app, db):
    sign_up(app, email=BO, name="Bo")
    sign_out(app)
    sign_up(app)

    answer = change_password(app)

    assert accounts_in(device_cookie(answer).value) == [user_id(db), user_id(db, BO)]
    sign_out(app)
    sign_in(app, email=BO)
    assert new_device(db) == [False]


def test_password_that_is_reset_makes_every_browser_a_new_one(app, db, intruder):
    assert devices(reset_password(app, db)) == []

    assert not has_attempts_of_its_own(app, intruder)
    db.execute(text("DELETE FROM throttles"))
    assert is_new(db, intruder)
    assert is_new(db, app)
    assert not is_new(db, app)


def test_hash_that_is_upgraded_at_sign_in_leaves_browsers_known(app, db, intruder):
    cheaper = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).replace(b"$2b$", b"$2a$")
    db.execute(text("UPDATE users SET password_hash = :h"), {"h": cheaper.decode()})

    sign_in(intruder)
    sign_out(app)
    sign_in(app)

    assert stored_hash(db) != cheaper.decode()
    assert new_device(db) == [True, False, False]


def test_it_is_not_given_when_the_sign_in_is_rolled_back(lab_app, db, view):
    sign_up(another(lab_app))

    def act(request):
        found = request.services.passwords.authenticate(EMAIL, PASSWORD, visitor_of(request))
        signed_in(request, found.user)
        outcome = request.GET["outcome"]
        if outcome == "fails at commit":
            request.dbsession.add_all([Note(text="same"), Note(text="same")])
        elif outcome == "fails":
            raise RuntimeError("after the sign-in")
        elif outcome == "doomed":
            request.tm.doom()
        return {}

    address = view(act)
    for outcome in ("fails", "fails at commit", "doomed"):
        answer = lab_app.get(address, {"outcome": outcome}, status="*")
        assert cookies_set(answer) == [], outcome
    assert devices(lab_app.get(address, {"outcome": "good"}, status=200))
    assert new_device(db) == [True]


# What it is.


@pytest.mark.parametrize(("environ", "name"), [({}, "device"), (HTTPS, "__Host-device")])
def test_attributes_are_those_of_the_session_s(app, environ, name):
    answer = sign_up(another(app, **environ))

    device, session = device_cookie(answer), session_cookie(answer)
    assert device.key == name
    assert device["max-age"] == str(int(LIFETIME.total_seconds()))
    for attribute in ("path", "domain", "secure", "httponly", "samesite"):
        assert device[attribute] == session[attribute], attribute
    assert device["httponly"] is True
    assert len(device.key + device.value) < 200


def test_it_grants_nothing(app):
    sign_up(app)
    value = app.cookies["device"]

    thief = another(app)
    thief.set_cookie("device", value)
    assert greeting(thief) is None
    thief.set_cookie("session", value)
    assert greeting(thief) is None
    assert sign_in(thief, password="wrong password").status_int == 401


def test_forged_ones_are_none(app, db):
    sign_up(another(app))
    good, other_one = (browser_since(datetime.now(UTC), id_) for id_ in (user_id(db), uuid4()))
    foreign = KnownBrowserSigner(("somebody else's secret, long enough",)).dumps([good])
    other = SIGNER.dumps([other_one])
    signature = other.rpartition(".")[2]

    for value in (
        foreign,
        foreign.rpartition(".")[0] + "." + signature,
        "garbage",
        "",
        str(good.user_id),
    ):
        browser = another(app)
        browser.set_cookie("device", value)
        assert devices(sign_in(browser))

    assert new_device(db) == [True] * 5


# What it is for, besides attempts of one's own (test_throttling).


def test_a_mail_tells_of_a_sign_in_with_a_new_browser_only(app, db):
    sign_up(app)
    sign_out(app)
    sign_in(app)
    assert letters(db) == []

    sign_in(another(app))

    assert new_device(db) == [False, True]
    assert letters(db) == ["new_sign_in"]


def test_a_mail_tells_of_none_where_the_owner_does_not_want_it(app, db):
    sign_up(app)
    app.post_json("/account/activity/notify", {"notify": False}, status=204)

    sign_in(another(app))

    assert new_device(db) == [True]
    assert letters(db) == []
    assert greeting(app) == NAME
