import pytest
from playwright.sync_api import expect

from tests.browser.pages import PAGES
from tests.browser.support import EMAIL, MOST_STOPS, NAME, PASSWORD, field, tab_to

pytestmark = pytest.mark.browser

# Whether what has the focus is in the window, with a ring around it.
IS_SEEN = """() => {
    const focused = document.activeElement;
    const {top, bottom} = focused.getBoundingClientRect();
    const {outlineStyle, outlineWidth, outlineOffset} = getComputedStyle(focused);
    const [width, reach] = [outlineWidth, outlineOffset].map(parseFloat);
    return outlineStyle !== "none" && width >= 2
        && top >= width + reach && bottom + width + reach <= innerHeight;
}"""


def test_sign_up_and_sign_out_need_no_mouse(either_page):
    page = either_page
    page.goto("/")
    tab_to(page.get_by_role("main").get_by_role("link", name="Sign up"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-up")
    for label, text in [("Name", NAME), ("Email", EMAIL), ("Password", PASSWORD)]:
        tab_to(field(page, label))
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/account")
    tab_to(page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Space")
    page.wait_for_url("**/")
    expect(page.get_by_role("navigation")).to_contain_text("Sign in")


def test_password_is_shown_by_keys(page):
    page.goto("/sign-in")
    tab_to(field(page, "Password"))
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(field(page, "Password")).to_have_attribute("type", "text")
    # The button keeps the focus while its name changes.
    expect(page.get_by_role("button", name="Hide password")).to_be_focused()


def test_first_stop_skips_the_navigation(page):
    page.goto("/sign-up")
    page.keyboard.press("Tab")
    skip_link = page.get_by_role("link", name="Skip to content")
    expect(skip_link).to_be_focused()
    expect(skip_link).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(field(page, "Name")).to_be_focused()


@pytest.mark.parametrize(
    "name",
    [
        "home",
        "sign-up-errors",
        "sign-in-empty",
        "account",
        "sessions-others",
        "activity",
        "admin-list",
        "admin-user-errors",
    ],
)
def test_every_stop_can_be_seen(page, db, name):
    PAGES[name](page, db)
    page.evaluate("document.activeElement.blur()")
    stops = 0
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement !== document.body"):
        assert page.evaluate(IS_SEEN), page.evaluate("document.activeElement.outerHTML")
        stops += 1
        assert stops <= MOST_STOPS
        page.keyboard.press("Tab")
    assert stops > 3
