import pytest
from playwright.sync_api import expect

from tests.browser.pages import LONG_EMAIL, admin_list, admin_user_errors
from tests.browser.support import field, follow, path_of, send

pytestmark = pytest.mark.browser


def test_administrator_keeps_somebody_out_without_a_script(page, open_page, db):
    admin_list(page, db)
    without_script = open_page(javascript=False)
    without_script.context.add_cookies(page.context.cookies())
    without_script.goto("/")

    follow(without_script.get_by_role("link", name="Admin"))
    field(without_script, "Email begins with, or id").fill("aaaa")
    send(without_script, "Search")
    follow(without_script.get_by_role("link", name=LONG_EMAIL))
    send(without_script, "Disable this account")

    expect(without_script.get_by_role("status")).to_have_text(
        "The account is disabled, and all of its sessions have ended."
    )


def test_error_leads_to_the_box_that_has_to_be_ticked(page, db):
    admin_user_errors(page, db)

    link = page.get_by_role("alert").get_by_role("link")
    link.focus()
    page.keyboard.press("Enter")

    expect(page.locator("#confirm")).to_be_focused()
    assert path_of(page).endswith("/role#confirm")
    page.keyboard.press("Space")
    expect(page.locator("#confirm")).to_be_checked()
    send(page, "Change role")

    assert page.get_by_role("heading", level=1).text_content() == "This is the last administrator"
