from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS
from tests.browser.support import (
    EMAIL,
    NAME,
    PASSWORD,
    field,
    fill_in,
    follow,
    have_account,
    path_of,
    send,
    sign_in,
    sign_out,
    sign_up,
)

pytestmark = pytest.mark.browser


def test_person_stays_signed_in_while_the_server_restarts(either_page, server):
    page = either_page
    sign_up(page)
    assert path_of(page) == "/account"
    sign_out(page)
    assert path_of(page) == "/"
    assert_signed_out(page)
    sign_in(page)
    assert path_of(page) == "/account"

    server.stop()
    server.start()
    page.reload()
    assert_signed_in(page)

    server.kill()
    server.start()
    page.reload()
    assert_signed_in(page)


def test_each_browser_has_a_session_of_its_own(open_page):
    laptop, phone = open_page(), open_page()
    have_account(laptop)
    laptop.goto("/")
    sign_in(phone)
    sign_out(laptop)
    laptop.goto("/account")
    assert path_of(laptop) == "/sign-in?next=%2Faccount"
    phone.reload()
    assert_signed_in(phone)


@pytest.fixture
def tabs(page):
    """Two tabs of one browser, both showing the account."""
    have_account(page)
    tabs = page, page.context.new_page()
    for tab in tabs:
        tab.goto("/account")
    return tabs


def test_another_tab_notices_the_sign_out_at_the_next_click(tabs):
    one, other = tabs
    sign_out(one)
    follow(other.get_by_role("link", name="Account", exact=True))
    assert path_of(other) == "/sign-in?next=%2Faccount"


def test_form_in_another_tab_leads_on_after_the_sign_out(tabs):
    one, other = tabs
    sign_out(one)
    fill_in(other, name="Ada King")
    send(other, "Save name")
    assert path_of(other) == "/sign-in?next=%2Faccount"
    fill_in(other, email=EMAIL, password=PASSWORD)
    send(other, "Sign in")
    assert path_of(other) == "/account"
    expect(field(other, "Name")).to_have_value(NAME)


def test_signing_out_in_both_tabs_is_no_error(tabs):
    for tab in tabs:
        sign_out(tab)
        assert path_of(tab) == "/"
        assert_signed_out(tab)


@pytest.mark.parametrize("button", ["Save name", "Sign out"])
def test_form_of_an_earlier_sign_in_leads_back_to_a_page(tabs, button):
    one, other = tabs
    sign_out(one)
    sign_in(one)
    send(other, button)
    expect(other.get_by_role("main")).to_contain_text("Nothing was changed.")
    follow(other.get_by_role("main").get_by_role("link").first)
    assert_signed_in(other)


def test_going_back_after_the_sign_out_shows_nothing_personal(page):
    have_account(page)
    page.goto("/account")
    sign_out(page)
    page.go_back()
    assert path_of(page) == "/sign-in?next=%2Faccount"
    expect(page.locator("body")).not_to_contain_text(NAME)


# Closing the browser.


@pytest.fixture
def browser_with_profile(playwright, launch_options, tmp_path, server, watched, db):
    """Starts Chromium with always the same profile, as on a person's desk; closes it at the end."""

    @contextmanager
    def start() -> Iterator[Page]:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", base_url=server.url, **launch_options
        )
        context.set_default_timeout(PATIENCE_MS)
        watched.over(context)
        yield context.new_page()
        context.close()

    return start


def test_person_who_asked_for_it_stays_signed_in_when_the_browser_is_closed(browser_with_profile):
    with browser_with_profile() as page:
        have_account(page)
        page.context.clear_cookies()
        sign_in(page, remember=True)
    with browser_with_profile() as page:
        page.goto("/")
        assert_signed_in(page)


def test_person_who_did_not_is_signed_out_when_the_browser_is_closed(browser_with_profile):
    with browser_with_profile() as page:
        have_account(page)
        page.context.clear_cookies()
        sign_in(page, remember=False)
        page.reload()
        assert_signed_in(page)
    with browser_with_profile() as page:
        page.goto("/")
        assert_signed_out(page)


def assert_signed_in(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text(NAME)


def assert_signed_out(page: Page) -> None:
    navigation = page.get_by_role("navigation")
    expect(navigation.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
