import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.pages import USER_AGENTS, sessions_others
from tests.browser.support import NAME, follow, have_account, path_of, send, sign_in

pytestmark = pytest.mark.browser


def entries(page: Page) -> Locator:
    return page.get_by_role("main").get_by_role("listitem")


def buttons(page: Page) -> Locator:
    """Those that sign one other session out."""
    return entries(page).get_by_role("button")


@pytest.mark.parametrize("javascript", [True, False], ids=["with-script", "without-script"])
def test_other_browser_is_out_at_its_next_click(open_page, javascript):
    laptop, phone = open_page(javascript=javascript), open_page(javascript=javascript)
    have_account(laptop)
    sign_in(phone)
    laptop.goto("/account/sessions")
    expect(entries(laptop)).to_have_count(2)
    expect(entries(laptop).first).to_contain_text("This session")
    expect(entries(laptop).first.get_by_role("button")).to_have_count(0)

    with laptop.expect_navigation():
        buttons(laptop).click()

    assert path_of(laptop) == "/account/sessions"
    expect(laptop.get_by_role("status")).to_have_text("That session has been signed out.")
    expect(entries(laptop)).to_have_count(1)
    follow(phone.get_by_role("link", name="Account", exact=True))
    assert path_of(phone) == "/sign-in?next=%2Faccount"
    laptop.goto("/")
    expect(laptop.get_by_role("main")).to_contain_text(NAME)


def test_all_others_are_out_and_this_one_is_not(open_page):
    laptop, phone = open_page(), open_page()
    have_account(laptop)
    sign_in(phone)
    phone.goto("/account/sessions")

    send(phone, "Sign out all other sessions")

    expect(entries(phone)).to_have_count(1)
    expect(phone.get_by_role("button", name="Sign out all other sessions")).to_have_count(0)
    laptop.goto("/account")
    assert path_of(laptop) == "/sign-in?next=%2Faccount"


def test_each_button_tells_which_session_it_ends(page):
    sessions_others(page)

    expect(buttons(page)).to_have_count(len(USER_AGENTS))
    firefox = page.get_by_role("button", name="Sign out Firefox 133 on Windows Signed in")
    expect(firefox).to_have_count(1)
    expect(firefox).to_have_text("Sign out")
    expect(page.get_by_role("button", name="Sign out Safari on iPhone")).to_have_count(1)
