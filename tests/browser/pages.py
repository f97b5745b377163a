"""Every page in every state that it has, each with the way that leads a new visitor there."""

from collections.abc import Callable

import pyotp
from playwright.sync_api import Page
from sqlalchemy import Connection, text

from authapp.domain.tokens import Purpose
from tests.browser.support import (
    EMAIL,
    PASSWORD,
    field,
    fill_in,
    follow,
    have_account,
    send,
    sign_in,
    sign_in_elsewhere,
    sign_out,
    sign_up,
)
from tests.functional.support import id_of, token_for

# Whatever the rules allow must find its place: no spaces to break the lines at.
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff" * 2
LONG_EMAIL = f"{'a' * 64}@{'b' * 63}.example.com"
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


def sign_up_taken(page: Page) -> None:
    have_account(page)
    page.context.clear_cookies()
    sign_up(page)


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
    have_account(page, LONG_NAME, LONG_EMAIL)
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


def password_too_often(page: Page) -> None:
    password_empty(page)
    for _ in range(11):
        fill_in(page, current_password="not the one", new_password="quite another password")
        send(page, "Change password")


def forgotten_empty(page: Page) -> None:
    page.goto("/forgot-password")


def forgotten_errors(page: Page) -> None:
    forgotten_empty(page)
    send(page, "Send the link")


def forgotten_sent(page: Page) -> None:
    forgotten_empty(page)
    fill_in(page, email=LONG_EMAIL)
    send(page, "Send the link")


def forgotten_too_often(page: Page) -> None:
    for _ in range(11):
        forgotten_sent(page)


def reset_empty(page: Page, db: Connection) -> None:
    open_link(page, db, "/reset-password/", Purpose.RESET_PASSWORD)


def reset_errors(page: Page, db: Connection) -> None:
    reset_empty(page, db)
    fill_in(page, new_password="short")
    send(page, "Set password")


def reset_done(page: Page, db: Connection) -> None:
    reset_empty(page, db)
    fill_in(page, new_password="quite another password")
    send(page, "Set password")


def reset_refused(page: Page) -> None:
    page.goto("/reset-password/nonsense")


def verify(page: Page, db: Connection) -> None:
    open_link(page, db, "/verify-email/", Purpose.VERIFY_EMAIL)


def verify_done(page: Page, db: Connection) -> None:
    verify(page, db)
    send(page, "Yes, it is mine")


def verify_new(page: Page, db: Connection) -> None:
    open_link(page, db, "/verify-email/", Purpose.CHANGE_EMAIL, LONG_EMAIL)


def verify_refused(page: Page) -> None:
    page.goto("/verify-email/nonsense")


def open_link(
    page: Page, db: Connection, address: str, purpose: Purpose, email: str = EMAIL
) -> None:
    """As somebody who has an account, and reads mail with a browser that is not signed in."""
    have_account(page)
    page.context.clear_cookies()
    page.goto(address + token_for(db, id_of(db), purpose, email))


def email_empty(page: Page) -> None:
    have_account(page)
    page.goto("/account/email")


def email_errors(page: Page) -> None:
    email_empty(page)
    fill_in(page, new_email="ada at example.com")
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


def confirm_too_often(page: Page) -> None:
    confirm_empty(page)
    for _ in range(11):
        fill_in(page, current_password="not the one")
        send(page, "Confirm")


def activity(page: Page) -> None:
    have_account(page)
    page.goto("/account/activity")
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


def activity_end(page: Page) -> None:
    have_account(page)
    page.goto("/account/activity?before=1")


def delete_empty(page: Page) -> None:
    have_account(page)
    page.goto("/account/delete")


def delete_errors(page: Page) -> None:
    delete_empty(page)
    send(page, "Delete my account")


def delete_done(page: Page) -> None:
    delete_empty(page)
    fill_in(page, current_password=PASSWORD)
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
    follow(page.get_by_text("I have saved them"))


def two_factor_few_codes(page: Page, db: Connection) -> None:
    two_factor_on(page)
    db.execute(text("DELETE FROM recovery_codes"))
    page.reload()


def two_factor_disable(page: Page) -> None:
    two_factor_on(page)
    follow(page.get_by_text("Turn off two-factor authentication"))


def two_factor_disable_errors(page: Page) -> None:
    two_factor_disable(page)
    fill_in(page, current_password=PASSWORD, code="000000")
    send(page, "Turn off")


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


def second_step_expired(page: Page, db: Connection) -> None:
    second_step(page)
    db.execute(text("UPDATE users SET password_hash = 'changed meanwhile'"))
    page.reload()


def admin_list(page: Page, db: Connection) -> None:
    """As Ada, an administrator, in a place with some other people."""
    for name, email in [(LONG_NAME, LONG_EMAIL), ("Grace Hopper", "grace@example.com")]:
        have_account(page, name, email)
        page.context.clear_cookies()
    have_account(page)
    db.execute(text("UPDATE users SET role = 'admin' WHERE email = :email"), {"email": EMAIL})
    db.execute(text("UPDATE users SET status = 'disabled' WHERE name = 'Grace Hopper'"))
    page.goto("/admin/users")


def admin_list_filtered(page: Page, db: Connection) -> None:
    admin_list(page, db)
    field(page, "State").select_option("disabled")
    send(page, "Search")


def admin_list_nobody(page: Page, db: Connection) -> None:
    admin_list(page, db)
    field(page, "Email begins with, or id").fill("nobody")
    send(page, "Search")


def admin_list_errors(page: Page, db: Connection) -> None:
    admin_list(page, db)
    page.goto("/admin/users?role=king")


def admin_list_first(page: Page, db: Connection) -> None:
    admin_list(page, db)
    db.execute(
        text(
            "INSERT INTO users (id, name, email, password_hash) SELECT gen_random_uuid(), "
            "'Visitor ' || n, 'visitor-' || n || '@example.com', '' FROM generate_series(1, 60) n"
        )
    )
    page.reload()


def admin_list_last(page: Page, db: Connection) -> None:
    admin_list_first(page, db)
    follow(page.get_by_role("link", name="Next page"))


def admin_user(page: Page, db: Connection) -> None:
    admin_list(page, db)
    sign_in_elsewhere(page, USER_AGENTS[0], LONG_EMAIL)
    sign_in_elsewhere(page, USER_AGENTS[2], LONG_EMAIL)
    follow(page.get_by_role("link", name=LONG_EMAIL))


def admin_user_disabled(page: Page, db: Connection) -> None:
    admin_user(page, db)
    send(page, "Disable this account")


def admin_user_two_factor(page: Page, db: Connection) -> None:
    admin_user(page, db)
    db.execute(text("UPDATE users SET second_factor_at = now() WHERE email <> :e"), {"e": EMAIL})
    page.reload()


def admin_user_own(page: Page, db: Connection) -> None:
    admin_list(page, db)
    follow(page.get_by_role("link", name=EMAIL))


def admin_user_errors(page: Page, db: Connection) -> None:
    admin_user_own(page, db)
    page.locator("#role").select_option("member")
    send(page, "Change role")


def admin_last(page: Page, db: Connection) -> None:
    admin_user_errors(page, db)
    page.locator("#role").select_option("member")
    page.locator("#confirm").check()
    send(page, "Change role")


def admin_nobody(page: Page, db: Connection) -> None:
    admin_list(page, db)
    page.goto("/admin/users/nobody")


def admin_forbidden(page: Page) -> None:
    have_account(page)
    page.goto("/admin/users")


def error_400(page: Page) -> None:
    page.goto("/sign-up")
    page.context.clear_cookies()
    send(page, "Sign up")


def error_404(page: Page) -> None:
    page.goto("/nowhere")


def error_405(page: Page) -> None:
    page.goto("/sign-out")


_WAYS = (
    home,
    home_signed_in,
    sign_up_empty,
    sign_up_errors,
    sign_up_taken,
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
    password_too_often,
    forgotten_empty,
    forgotten_errors,
    forgotten_sent,
    forgotten_too_often,
    reset_refused,
    verify_refused,
    email_empty,
    email_errors,
    email_asked,
    confirm_empty,
    confirm_errors,
    confirm_too_often,
    activity,
    activity_changed,
    activity_end,
    delete_empty,
    delete_errors,
    delete_done,
    sessions_alone,
    sessions_others,
    sessions_ended,
    two_factor_off,
    two_factor_set_up,
    two_factor_errors,
    two_factor_codes,
    two_factor_on,
    two_factor_disable,
    two_factor_disable_errors,
    two_factor_renew,
    second_step,
    second_step_errors,
    second_step_recovery,
    admin_forbidden,
    error_400,
    error_404,
    error_405,
)
# They need more than a person can do in a browser: a link from a mail, a role.
_WAYS_WITH_DATABASE = (
    reset_empty,
    reset_errors,
    reset_done,
    verify,
    verify_done,
    verify_new,
    two_factor_few_codes,
    second_step_expired,
    admin_list,
    admin_list_filtered,
    admin_list_nobody,
    admin_list_errors,
    admin_list_first,
    admin_list_last,
    admin_user,
    admin_user_disabled,
    admin_user_two_factor,
    admin_user_own,
    admin_user_errors,
    admin_last,
    admin_nobody,
)


def by_browser_alone(way: Callable[[Page], None]) -> Callable[[Page, Connection], None]:
    return lambda page, db: way(page)


PAGES: dict[str, Callable[[Page, Connection], None]] = {
    way.__name__.replace("_", "-"): by_browser_alone(way) for way in _WAYS
} | {way.__name__.replace("_", "-"): way for way in _WAYS_WITH_DATABASE}
