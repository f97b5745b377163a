import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from tests.browser.support import (
    EMAIL,
    accessibility_problems,
    field,
    follow,
    have_account,
    path_of,
    send,
    sign_in_elsewhere,
)

pytestmark = pytest.mark.browser

LONG = f"{'a' * 64}@{'b' * 63}.example.com"


@pytest.fixture
def admin(page, open_page, db):
    """The page of Ada, an administrator, in a place with some other people."""
    other = open_page()
    have_account(other, "Wolfeschlegelsteinhausenbergerdorff" * 2, LONG)
    have_account(page)
    db.execute(text("UPDATE users SET role = 'admin' WHERE email = :email"), {"email": EMAIL})
    return page


def show_list(page):
    page.goto("/admin/users")


def show_pages_of_list(page):
    page.goto("/admin/users?after=0")


def show_refused_search(page):
    page.goto("/admin/users?role=king")


def show_user(page):
    page.goto(f"/admin/users?q={LONG}")
    sign_in_elsewhere(page, "curl/8", LONG)
    follow(page.get_by_role("link", name=LONG))


def show_refused_role(page):
    page.goto(f"/admin/users?q={EMAIL}")
    follow(page.get_by_role("link", name=EMAIL))
    page.locator("#role").select_option("member")
    send(page, "Change role")


def show_disabled_user(page):
    show_user(page)
    send(page, "Disable this account")


def show_last_admin(page):
    show_refused_role(page)
    page.locator("#role").select_option("member")
    page.locator("#confirm").check()
    send(page, "Change role")


@pytest.mark.parametrize(
    "show",
    [
        show_list,
        show_pages_of_list,
        show_refused_search,
        show_user,
        show_refused_role,
        show_disabled_user,
        show_last_admin,
    ],
)
def test_page_fits_the_window_and_is_accessible(admin, show):
    show(admin)
    for width, scheme in [(1280, "light"), (360, "dark"), (320, "light")]:
        admin.set_viewport_size({"width": width, "height": 740})
        admin.emulate_media(color_scheme=scheme)
        overhang = admin.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overhang <= 0, f"scrolls sideways at {width} px"
        if width > 320:
            assert accessibility_problems(admin) == [], scheme


def test_administrator_keeps_somebody_out_without_a_script(admin, open_page, db):
    without_script = open_page(javascript=False)
    without_script.context.add_cookies(admin.context.cookies())
    without_script.goto("/")

    follow(without_script.get_by_role("link", name="Admin"))
    field(without_script, "Email begins with, or id").fill("aaaa")
    send(without_script, "Search")
    follow(without_script.get_by_role("link", name=LONG))
    send(without_script, "Disable this account")

    expect(without_script.get_by_role("status")).to_have_text(
        "The account is disabled, and all of its sessions have ended."
    )


def test_error_leads_to_the_box_that_has_to_be_ticked(admin):
    show_refused_role(admin)

    link = admin.get_by_role("alert").get_by_role("link")
    link.focus()
    admin.keyboard.press("Enter")

    expect(admin.locator("#confirm")).to_be_focused()
    assert path_of(admin).endswith("/role#confirm")
    admin.keyboard.press("Space")
    expect(admin.locator("#confirm")).to_be_checked()
    send(admin, "Change role")

    assert admin.get_by_role("heading", level=1).text_content() == "This is the last administrator"
