"""Every page in every state that it has, each with the way that leads a new visitor there."""

from collections.abc import Callable

import pyotp
from playwright.sync_api import Page

from tests.browser.support import (
    PASSWORD,
    fill_in,
    follow,
    have_account,
    send,
    sign_in,
    sign_in_elsewhere,
    sign_out,
    sign_up,
)

USER_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile Safari/604.1",
    f"curl/{'9' * 500}",
    "nonsense",
)


def home(page: Page) -> None:
    page.goto("/")


def home_signed_in(page: Page) -> None:
    have_account(page)
    page.goto("/")


def sign_up_empty(page: Page) -> None:
    page.goto("/sign-up")


def sign_up_errors(page: Page) -> None:
    sign_up(page, email="ada at example.com", password="short")


def sign_in_empty(page: Page) -> None:
    page.goto("/sign-in")


def sign_in_refused(page: Page) -> None:
    sign_in(page)


def sign_in_too_often(page: Page) -> None:
    for _ in range(11):
        sign_in(page)


def account(page: Page) -> None:
    have_account(page)
    page.goto("/account")


def account_saved(page: Page) -> None:
    account(page)
    fill_in(page, name="Ada King")
    send(page, "Save name")


def account_errors(page: Page) -> None:
    account(page)
    fill_in(page, name="")
    send(page, "Save name")


def account_long(page: Page) -> None:
    """Whatever the rules allow must find its place: no spaces to break the lines at."""
    name = "Wolfeschlegelsteinhausenbergerdorff" * 2
    have_account(page, name, email=f"{'a' * 64}@{'b' * 63}.example.com")
    page.goto("/account")


def password_empty(page: Page) -> None:
    have_account(page)
    page.goto("/account/password")


def password_errors(page: Page) -> None:
    password_empty(page)
    fill_in(page, current_password="not the one", new_password="short")
    send(page, "Change password")


def password_changed(page: Page) -> None:
    password_empty(page)
    fill_in(page, current_password=PASSWORD, new_password="quite another password")
    send(page, "Change password")


def forgotten_empty(page: Page) -> None:
    page.goto("/forgot-password")


def forgotten_errors(page: Page) -> None:
    forgotten_empty(page)
    send(page, "Send the link")


def forgotten_sent(page: Page) -> None:
    forgotten_empty(page)
    fill_in(page, email=f"{'a' * 64}@{'b' * 63}.example.com")
    send(page, "Send the link")


def forgotten_too_often(page: Page) -> None:
    for _ in range(11):
        forgotten_empty(page)
        fill_in(page, email="ada@example.com")
        send(page, "Send the link")


def link_refused(page: Page) -> None:
    page.goto("/reset-password/nonsense")


def email_empty(page: Page) -> None:
    have_account(page)
    page.goto("/account/email")


def email_errors(page: Page) -> None:
    email_empty(page)
    fill_in(page, new_email="ada at example.com")
    send(page, "Send the link")


def email_too_often(page: Page) -> None:
    email_empty(page)
    for _ in range(11):
        fill_in(page, new_email="ada@new.example.com", current_password="not the one")
        send(page, "Send the link")


def email_asked(page: Page) -> None:
    email_empty(page)
    fill_in(page, new_email="ada@new.example.com", current_password=PASSWORD)
    send(page, "Send the link")


def confirm_empty(page: Page) -> None:
    have_account(page)
    page.goto("/account/confirm?next=/account/sessions")


def confirm_errors(page: Page) -> None:
    confirm_empty(page)
    fill_in(page, current_password="not the one")
    send(page, "Confirm")


def activity(page: Page) -> None:
    have_account(page)
    for user_agent in USER_AGENTS:
        sign_in_elsewhere(page, user_agent)
    page.goto("/account/delete")
    fill_in(page, current_password="not the one")
    send(page, "Delete my account")
    page.goto("/account/activity")


def activity_changed(page: Page) -> None:
    activity(page)
    page.uncheck("#notify")
    send(page, "Save")


def delete_empty(page: Page) -> None:
    have_account(page)
    page.goto("/account/delete")


def delete_errors(page: Page) -> None:
    delete_empty(page)
    send(page, "Delete my account")


def sessions_alone(page: Page) -> None:
    have_account(page)
    page.goto("/account/sessions")


def sessions_others(page: Page) -> None:
    sessions_alone(page)
    for user_agent in USER_AGENTS:
        sign_in_elsewhere(page, user_agent)
    page.reload()


def sessions_ended(page: Page) -> None:
    sessions_others(page)
    send(page, "Sign out all other sessions")


def two_factor_off(page: Page) -> None:
    have_account(page)
    page.goto("/account/two-factor")


def two_factor_set_up(page: Page) -> None:
    two_factor_off(page)
    send(page, "Set up")


def two_factor_errors(page: Page) -> None:
    two_factor_set_up(page)
    fill_in(page, code="12345")
    send(page, "Turn on")


def two_factor_codes(page: Page) -> None:
    two_factor_set_up(page)
    secret = page.locator("main code").inner_text().replace(" ", "")
    fill_in(page, code=pyotp.TOTP(secret).now())
    send(page, "Turn on")


def two_factor_on(page: Page) -> None:
    two_factor_codes(page)
    follow(page.get_by_text("I have kept them"))


def two_factor_disable(page: Page) -> None:
    two_factor_on(page)
    follow(page.get_by_text("Turn off two-factor authentication"))


def two_factor_renew(page: Page) -> None:
    two_factor_on(page)
    follow(page.get_by_text("Get new recovery codes"))


def second_step(page: Page) -> None:
    two_factor_codes(page)
    sign_out(page)
    sign_in(page)


def second_step_errors(page: Page) -> None:
    second_step(page)
    fill_in(page, code="000000")
    send(page, "Sign in")


def second_step_recovery(page: Page) -> None:
    second_step(page)
    follow(page.get_by_text("Use a recovery code"))


def error_400(page: Page) -> None:
    page.goto("/sign-up")
    page.context.clear_cookies()
    send(page, "Sign up")


def error_404(page: Page) -> None:
    page.goto("/nowhere")


def error_405(page: Page) -> None:
    page.goto("/sign-out")


PAGES: dict[str, Callable[[Page], None]] = {
    way.__name__.replace("_", "-"): way
    for way in (
        home,
        home_signed_in,
        sign_up_empty,
        sign_up_errors,
        sign_in_empty,
        sign_in_refused,
        sign_in_too_often,
        account,
        account_saved,
        account_errors,
        account_long,
        password_empty,
        password_errors,
        password_changed,
        forgotten_empty,
        forgotten_errors,
        forgotten_sent,
        forgotten_too_often,
        link_refused,
        email_empty,
        email_errors,
        email_too_often,
        email_asked,
        delete_empty,
        delete_errors,
        sessions_alone,
        sessions_others,
        sessions_ended,
        two_factor_off,
        two_factor_set_up,
        two_factor_errors,
        two_factor_codes,
        two_factor_on,
        two_factor_disable,
        two_factor_renew,
        second_step,
        second_step_errors,
        second_step_recovery,
        confirm_empty,
        confirm_errors,
        activity,
        activity_changed,
        error_400,
        error_404,
        error_405,
    )
}
