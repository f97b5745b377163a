"""What a person does with an authenticator, and what it would show."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp
import webtest
from sqlalchemy import Connection, text
from webtest import TestResponse

from authapp.repositories import ENGINE
from tests.functional.support import EMAIL, fill_in, path_of, sign_in

ADDRESS = "/sign-in/second-factor"
STATE = "/account/two-factor"
SET_UP = f"{STATE}/set-up"
CODES = f"{STATE}/recovery-codes"
DISABLE = f"{STATE}/disable"
WRONG = "000000"
STEP = timedelta(seconds=30)


@dataclass(frozen=True)
class Phone:
    """An authenticator, and the recovery codes that its owner has kept."""

    secret: str
    recovery_codes: list[str]
    first_code: str = ""

    @property
    def totp(self) -> pyotp.TOTP:
        return pyotp.TOTP(self.secret)


def turn_on(app: webtest.TestApp, *, forget_code: bool = True) -> Phone:
    """Turns two-factor on for whoever is signed in.

    The code that did so is made good again, so that tests need not wait for the next one.
    """
    # As a program does: the picture on the page takes a tenth of a second.
    secret = app.post_json(STATE, {}, status=201).json["secret"]
    code = pyotp.TOTP(secret).now()
    codes = app.post_json(SET_UP, {"code": code}, status=200).json["recovery_codes"]
    if forget_code:
        with app.app.registry[ENGINE].begin() as connection:
            connection.execute(text("UPDATE second_factors SET last_step = NULL"))
    return Phone(secret, codes, code)


def secret_on(page: TestResponse) -> str:
    return str(page.html.main.find("code").get_text()).replace(" ", "")


def codes_on(page: TestResponse) -> list[str]:
    return [str(code.get_text()) for code in page.html.main.find_all("code")]


def good_code(db: Connection, phone: Phone) -> str:
    """What the authenticator shows now."""
    return phone.totp.at(now(db))


def now(db: Connection) -> datetime:
    """The database's time, of a step that lasts for another moment."""
    while True:
        time_of_database: datetime = db.execute(text("SELECT now()")).scalar_one()
        if time_of_database.timestamp() % 30 < 28.5:
            return time_of_database
        time.sleep(0.1)


def at_the_second_step(app: webtest.TestApp, email: str = EMAIL) -> webtest.TestApp:
    """The browser, once the right password was given in it."""
    assert path_of(sign_in(app, email=email)) == ADDRESS
    return app


def give_code(app: webtest.TestApp, code: str) -> TestResponse:
    return fill_in(app.get(ADDRESS), ADDRESS, code=code)
