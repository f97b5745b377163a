from urllib.parse import quote

import pytest

from tests.browser.support import EMAIL, PASSWORD, fill_in, have_account, path_of, send

pytestmark = pytest.mark.browser

FOREIGN = [
    "https://elsewhere.example/",
    "//elsewhere.example/account",
    "/\\elsewhere.example/account",
    "/\t/elsewhere.example/account",
    "javascript:alert(1)",
]


def test_visitor_is_led_to_sign_in_and_back(either_page):
    visitor = either_page
    have_account(visitor)
    visitor.context.clear_cookies()
    visitor.goto("/account?from=mail&n=1")
    fill_in(visitor, email=EMAIL, password="wrong at first")
    send(visitor, "Sign in")
    fill_in(visitor, password=PASSWORD)
    send(visitor, "Sign in")
    assert path_of(visitor) == "/account?from=mail&n=1"


@pytest.mark.parametrize("target", FOREIGN)
def test_sign_in_never_leads_to_another_site(page, server, target):
    have_account(page)
    page.context.clear_cookies()
    page.goto(f"/sign-in?next={quote(target)}")
    fill_in(page, email=EMAIL, password=PASSWORD)
    send(page, "Sign in")
    assert page.url == f"{server.url}/account"


def test_sign_in_page_is_passed_over_by_whoever_is_signed_in(page):
    have_account(page)
    page.goto("/sign-in?next=/%3Fback")
    assert path_of(page) == "/?back"
