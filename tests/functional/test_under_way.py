"""What a request asks for whose session is ended, or whose password is changed, meanwhile.

A thief who holds a session sends a request; comparing the password takes a good part of a second;
and in that time the owner throws the thief out. The request must not be carried out after that.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyotp
import pytest
import webtest
from sqlalchemy import Connection, text
from webtest import TestResponse

from tests.functional.second_factor import SET_UP, STATE, good_code, secret_on, turn_on
from tests.functional.support import (
    EMAIL,
    PASSWORD,
    another,
    fill_in,
    greeting,
    sign_in,
    sign_up,
)
from tests.functional.waiting import wait_until_blocked

NEW = "an entirely different one"
Deed = Callable[[webtest.TestApp], TestResponse]

# What belongs to the account, whatever becomes of its sessions.
STATE_OF = text(
    "SELECT u.email, u.password_hash, u.second_factor_at, f.sealed_secret, "
    "ARRAY(SELECT code_hash FROM recovery_codes ORDER BY code_hash)::text "
    "FROM users u LEFT JOIN second_factors f ON f.user_id = u.id"
)


def post(path: str, **fields: str) -> Deed:
    return lambda thief: thief.post_json(path, fields, status="*")


def state(db: Connection) -> Any:
    return db.execute(STATE_OF).all()


def end_others(owner: webtest.TestApp) -> Callable[[Connection], Any]:
    return lambda _: owner.post_json("/account/sessions/revoke-others", {}, status=204)


def change_password(holder: Connection) -> None:
    """As a request that holds the account already, and commits first."""
    holder.execute(text("UPDATE users SET password_hash = 'another'"))


def held_up(
    db: Connection, thief: webtest.TestApp, deed: Deed, meanwhile: Callable[[Connection], Any]
) -> Any:
    """The answer to a deed that waits for the account, while the owner does something else."""
    with ThreadPoolExecutor(1) as thread:
        with db.engine.begin() as holder:
            # As a change of the account holds it: rows that refer to it can be written.
            holder.execute(text("SELECT FROM users FOR NO KEY UPDATE"))
            answer = thread.submit(deed, thief)
            wait_until_blocked(db)
            meanwhile(holder)
        return answer.result(timeout=20)


@pytest.fixture
def owner(app):
    sign_up(app)
    return app


@pytest.fixture
def thief(owner):
    browser = another(owner)
    sign_in(browser)
    return browser


PLAIN = {
    "password": post("/account/password", current_password=PASSWORD, new_password=NEW),
    "email": post("/account/email", current_password=PASSWORD, email="thief@example.com"),
    "delete": post("/account/delete", current_password=PASSWORD),
}


@pytest.mark.parametrize("deed", PLAIN.values(), ids=PLAIN)
def test_nothing_is_done_for_a_session_that_was_ended(owner, thief, db, deed):
    before = state(db)

    answer = held_up(db, thief, deed, end_others(owner))

    assert answer.status_int == 401
    assert state(db) == before
    assert db.execute(text("SELECT count(*) FROM outbox WHERE kind = 'change_email'")).scalar() == 0
    assert greeting(owner) is not None
    assert greeting(thief) is None


def test_person_is_led_to_sign_in(owner, thief, db):
    page = thief.get("/account/delete")

    answer = held_up(
        db,
        thief,
        lambda _: fill_in(page, "/account/delete", current_password=PASSWORD),
        end_others(owner),
    )

    assert answer.status_int == 303
    assert "/sign-in?next=" in answer.location
    assert greeting(owner) is not None


def test_nobody_is_set_a_second_factor_by_a_session_that_was_ended(owner, thief, db):
    page = fill_in(thief.get(STATE), STATE).follow()
    code = pyotp.TOTP(secret_on(page)).now()

    answer = held_up(
        db,
        thief,
        post(SET_UP, code=code),
        end_others(owner),
    )

    assert answer.status_int == 401
    assert "recovery_codes" not in answer.json
    assert db.execute(text("SELECT second_factor_at FROM users")).scalar_one() is None
    assert greeting(owner) is not None


@pytest.mark.parametrize("is_ended", [True, False], ids=["session ended", "password changed"])
@pytest.mark.parametrize("action", ["disable", "recovery-codes"])
def test_second_factor_stays_as_it_is(owner, db, action, is_ended):
    phone = turn_on(owner)
    thief = another(owner)
    sign_in(thief)
    thief.post_json("/sign-in/second-factor", {"code": good_code(db, phone)}, status=200)
    db.execute(text("UPDATE second_factors SET last_step = NULL"))
    before = state(db)
    fields = {"current_password": PASSWORD, "code": phone.recovery_codes[0]}

    meanwhile = end_others(owner) if is_ended else change_password
    answer = held_up(db, thief, post(f"{STATE}/{action}", **fields), meanwhile)

    assert answer.status_int == (401 if is_ended else 400)
    assert [row[2:] for row in state(db)] == [row[2:] for row in before]


@pytest.mark.parametrize("name", ["email", "delete"])
def test_old_password_does_nothing_once_it_was_changed(owner, thief, db, name):
    """The session is there still: what counts is the password that the thief has given."""
    answer = held_up(db, thief, PLAIN[name], change_password)

    assert answer.status_int == 400
    assert list(answer.json["error"]["fields"]) == ["current_password"]
    assert db.execute(text("SELECT email FROM users")).scalar_one() == EMAIL
