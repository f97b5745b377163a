import time
from uuid import uuid4

import pytest
from sqlalchemy import text

from authapp.security.known_browsers import LIFETIME, RENEWAL, KnownBrowser, KnownBrowserSigner
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
)

HTTPS = {"wsgi.url_scheme": "https"}


def known_in(value):
    return KnownBrowserSigner((SECRET,)).loads(value)


def devices(answer):
    return [cookie for cookie in cookies_set(answer) if is_device(cookie)]


def user_id(db, email=EMAIL):
    statement = text("SELECT id FROM users WHERE email = :email")
    return db.execute(statement, {"email": email}).scalar_one()


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
    old = KnownBrowser("i" * 22, user_id(db), int(time.time() - RENEWAL.total_seconds() - 9))
    app.set_cookie("device", KnownBrowserSigner((SECRET,)).dumps(old))

    renewed = known_in(device_cookie(sign_in(app)).value)

    assert renewed.user_id == old.user_id
    assert renewed.since > old.since
    assert new_device(db) == [False]


def test_another_account_s_sign_in_replaces_it(app, db):
    sign_up(another(app), email="eve@example.com", name="Eve")
    sign_up(app)

    fields = {"email": "eve@example.com", "password": PASSWORD}
    answer = app.post_json("/sign-in", fields, status=200)

    assert known_in(device_cookie(answer).value).user_id == user_id(db, "eve@example.com")
    assert new_device(db) == [True]


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


def test_it_is_not_given_when_the_sign_in_is_rolled_back(lab_app, db, view):
    sign_up(another(lab_app))

    def act(request):
        found = request.passwords.authenticate(EMAIL, PASSWORD, visitor_of(request))
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
    good = KnownBrowser.new(user_id(db))
    foreign = KnownBrowserSigner(("somebody else's secret, long enough",)).dumps(good)
    other = KnownBrowserSigner((SECRET,)).dumps(KnownBrowser.new(uuid4()))
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
