"""Every page in every state that it has, each with the way that leads a new visitor there."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.support import fill_in, have_account, send, sign_in, sign_up


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
        account,
        account_saved,
        account_errors,
        account_long,
        error_400,
        error_404,
        error_405,
    )
}
