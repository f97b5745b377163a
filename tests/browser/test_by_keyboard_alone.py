"""Whole ways through the pages by the keyboard alone, with JavaScript and without."""

import time

import pyotp
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from authapp.security.recent import CONFIRMED_AT
from tests.browser.support import (
    EMAIL,
    NAME,
    PASSWORD,
    field,
    have_account,
    path_of,
    press_key,
    sign_in_elsewhere,
    tab_to,
)
from tests.mailing import deliver, link_in

pytestmark = pytest.mark.browser

NEW_PASSWORD = "quite another password"


def go_by_link(page: Page, name: str) -> None:
    # The front page has some links twice, as buttons too.
    tab_to(page.get_by_role("link", name=name, exact=True).first)
    press_key(page, "Enter")


def press_button(page: Page, name: str) -> None:
    tab_to(page.get_by_role("button", name=name, exact=True))
    press_key(page, "Space")


def type_in(page: Page, text: str) -> None:
    """Types into the field that has the focus when the page opens, and sends its form."""
    page.keyboard.type(text)
    press_key(page, "Enter")


def sign_in_by_keys(page: Page, password: str = PASSWORD) -> None:
    expect(field(page, "Email")).to_be_focused()
    page.keyboard.type(EMAIL)
    tab_to(field(page, "Password"))
    type_in(page, password)


def test_forgotten_password_is_replaced_by_a_link_in_a_mail(either_page, app):
    page = either_page
    have_account(page)
    page.context.clear_cookies()
    page.goto("/sign-in")
    go_by_link(page, "Forgot your password?")
    expect(field(page, "Email")).to_be_focused()
    type_in(page, EMAIL)
    expect(page.get_by_role("status")).to_contain_text(EMAIL)

    page.goto(link_in(deliver(app)[-1]))
    expect(field(page, "New password")).to_be_focused()
    type_in(page, NEW_PASSWORD)
    expect(page.get_by_role("status")).to_contain_text("Your password has been changed.")
    sign_in_by_keys(page, NEW_PASSWORD)

    assert path_of(page) == "/account"


def test_two_factor_authentication_is_turned_on_and_signed_in_with(either_page):
    page = either_page
    have_account(page)
    page.goto("/account")
    go_by_link(page, "Two-factor authentication")
    press_button(page, "Set up")
    authenticator = pyotp.TOTP(page.locator("main code").inner_text().replace(" ", ""))
    tab_to(field(page, "Code"))
    type_in(page, authenticator.now())
    recovery_code = page.locator("main code").first.inner_text()
    go_by_link(page, "I have saved them")
    press_button(page, "Sign out")

    go_by_link(page, "Sign in")
    sign_in_by_keys(page)
    expect(field(page, "Code")).to_be_focused()
    # The code that has just been used is void; the next one is good half a minute early.
    type_in(page, authenticator.at(time.time() + 30))
    assert path_of(page) == "/account"

    press_button(page, "Sign out")
    go_by_link(page, "Sign in")
    sign_in_by_keys(page)
    go_by_link(page, "Use a recovery code")
    expect(field(page, "Recovery code")).to_be_focused()
    type_in(page, recovery_code)
    assert path_of(page) == "/account"


def test_whoever_confirms_goes_on_where_they_were(either_page, db):
    page = either_page
    have_account(page)
    db.execute(text("UPDATE sessions SET data = data - :key"), {"key": CONFIRMED_AT})
    page.goto("/account/two-factor")
    press_button(page, "Set up")
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm it is you")
    expect(field(page, "Current password")).to_be_focused()
    type_in(page, "not the one")
    expect(field(page, "Current password")).to_be_focused()
    type_in(page, PASSWORD)

    assert path_of(page) == "/account/two-factor"
    press_button(page, "Set up")
    assert path_of(page) == "/account/two-factor/set-up"


def test_other_session_is_ended(either_page):
    page = either_page
    have_account(page)
    sign_in_elsewhere(page, "curl/8.5.0")
    page.goto("/account")
    go_by_link(page, "See where you are signed in")
    tab_to(page.get_by_role("main").get_by_role("listitem").get_by_role("button"))
    press_key(page, "Space")

    expect(page.get_by_role("status")).to_have_text("That session has been signed out.")
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    page.goto("/")
    expect(page.get_by_role("main")).to_contain_text(NAME)
