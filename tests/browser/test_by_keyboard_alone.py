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


def says(page: Page, words: str) -> None:
    expect(page.get_by_role("status")).to_contain_text(words)


def test_name_language_and_news_are_chosen(either_page):
    page = either_page
    have_account(page)
    page.goto("/account")
    tab_to(field(page, "Name"))
    page.keyboard.press("ControlOrMeta+a")
    type_in(page, "Ada King")
    says(page, "Your name has been changed.")

    tab_to(page.get_by_role("combobox", name="Language"))
    page.keyboard.press("e")  # As in all lists: to what begins with it.
    press_button(page, "Save language")
    says(page, "Your language has been changed.")
    expect(page.get_by_role("combobox", name="Language")).to_have_value("en")

    go_by_link(page, "See what happened to your account")
    tab_to(field(page, "Email me about sign-ins with new browsers"))
    page.keyboard.press("Space")
    press_button(page, "Save")
    says(page, "You no longer get emails about sign-ins with new browsers.")


def test_password_is_changed(either_page):
    page = either_page
    have_account(page)
    page.goto("/account")
    go_by_link(page, "Change your password")
    expect(field(page, "Current password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    tab_to(field(page, "New password"))
    type_in(page, "short")
    expect(field(page, "New password")).to_be_focused()
    tab_to_before(page, "Current password")
    page.keyboard.type(PASSWORD)
    tab_to(field(page, "New password"))
    type_in(page, NEW_PASSWORD)
    says(page, "Your password has been changed.")


def tab_to_before(page: Page, label: str) -> None:
    for _ in range(5):
        page.keyboard.press("Shift+Tab")
        if field(page, label).evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"{label} is not reached by Shift and Tab")


def test_address_is_verified_and_changed_by_links_in_mails(either_page, app):
    page = either_page
    have_account(page)
    page.goto(link_in(deliver(app)[-1]))
    press_button(page, "Yes, it is mine")
    says(page, f"{EMAIL} has been verified")

    go_by_link(page, "Change your email address")
    expect(field(page, "New email")).to_be_focused()
    page.keyboard.type("ada@example.org")
    tab_to(field(page, "Current password"))
    type_in(page, PASSWORD)
    says(page, "An email is on its way to ada@example.org.")
    [link] = [link_in(letter) for letter in deliver(app) if letter.recipient == "ada@example.org"]
    page.goto(link)
    press_button(page, "Yes, it is mine")
    says(page, "ada@example.org has been verified")


def test_recovery_codes_are_renewed_and_two_factor_authentication_turned_off(either_page, db):
    page = either_page
    have_account(page)
    page.goto("/account/two-factor")
    press_button(page, "Set up")
    authenticator = pyotp.TOTP(page.locator("main code").inner_text().replace(" ", ""))
    tab_to(field(page, "Code"))
    type_in(page, authenticator.now())
    go_by_link(page, "I have saved them")

    go_by_link(page, "Get new recovery codes")
    give_both(page, authenticator.at(time.time() + 30))
    recovery_code = page.locator("main code").first.inner_text()
    go_by_link(page, "I have saved them")
    go_by_link(page, "Turn off two-factor authentication")
    give_both(page, recovery_code)
    says(page, "Two-factor authentication has been turned off.")


def give_both(page: Page, code: str) -> None:
    expect(field(page, "Current password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.name") != "code":
        page.keyboard.press("Tab")
    type_in(page, code)


def test_account_is_deleted(either_page):
    page = either_page
    have_account(page)
    page.goto("/account")
    go_by_link(page, "Delete your account")
    expect(field(page, "Current password")).to_be_focused()
    type_in(page, PASSWORD)
    says(page, "Your account and all that belongs to it have been deleted.")
    assert path_of(page) == "/"


def test_administrator_finds_somebody_and_keeps_them_out(either_page, open_page, db):
    page, grace = either_page, "grace@example.org"
    have_account(page)
    have_account(open_page(), "Grace Hopper", grace)
    db.execute(text("UPDATE users SET role = 'admin' WHERE email = :email"), {"email": EMAIL})
    page.goto("/")
    go_by_link(page, "Admin")
    tab_to(field(page, "Email begins with, or id"))
    type_in(page, "grace")
    go_by_link(page, grace)
    press_button(page, "Disable this account")
    says(page, "The account is disabled, and all of its sessions have ended.")
    press_button(page, "Enable this account")
    says(page, "The account is enabled.")
