import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.support import (
    EMAIL,
    NAME,
    PASSWORD,
    field,
    fill_in,
    follow,
    have_account,
    path_of,
    press,
    send,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.browser

TAKEN = "There is already an account with this"
REFUSED = "Invalid email or password"


# Errors.


@pytest.mark.parametrize(
    ("wrong", "labels"),
    [
        ({"password": "short"}, ["Password"]),
        ({"email": "ada at example.com", "password": ""}, ["Email", "Password"]),
        ({"name": " ", "email": "@"}, ["Name", "Email"]),
    ],
)
def test_first_wrong_field_has_the_focus_and_says_what_is_wrong(either_page, wrong, labels):
    page = either_page
    sign_up(page, **wrong)
    assert path_of(page) == "/sign-up"
    expect(page).to_have_title(re.compile("^Error: "))
    expect(field(page, labels[0])).to_be_focused()
    summary = page.get_by_role("alert")
    expect(summary.get_by_role("listitem")).to_have_count(len(labels))
    for label in labels:
        wrong_field = field(page, label)
        expect(wrong_field).to_have_attribute("aria-invalid", "true")
        [_, said] = summary.get_by_text(f"{label}: ").inner_text().split(": ", 1)
        expect(wrong_field).to_have_accessible_description(re.compile(re.escape(said)))
    for label in {"Name", "Email", "Password"} - set(labels):
        expect(field(page, label)).not_to_have_attribute("aria-invalid", "true")


def test_link_in_the_summary_leads_to_its_field(either_page):
    page = either_page
    sign_up(page, email="", password="short")
    page.get_by_role("alert").get_by_role("link", name="Password: ").click()
    expect(field(page, "Password")).to_be_focused()


def test_what_was_typed_is_kept_but_not_the_password(either_page):
    page = either_page
    typed = {"name": 'Ada "the first" <b>&amp;', "email": "ada@@example.com"}
    sign_up(page, **typed)
    assert values(page) == {**typed, "password": ""}


def test_address_that_has_an_account_is_an_error_beside_the_field(open_page):
    have_account(open_page())
    page = open_page()
    sign_up(page, name="Another Ada", email=EMAIL.upper())
    expect(field(page, "Email")).to_be_focused()
    expect(field(page, "Email")).to_have_accessible_description(re.compile(TAKEN))
    assert values(page) == {"name": "Another Ada", "email": EMAIL.upper(), "password": ""}


def test_sign_in_that_is_refused_says_so_and_does_not_say_why(either_page):
    page = either_page
    have_account(page)
    page.context.clear_cookies()
    for email, password in [(EMAIL, "wrong password"), ("nobody@example.com", PASSWORD)]:
        sign_in(page, email, password, remember=False)
        expect(page).to_have_title(re.compile("^Error: "))
        expect(page.get_by_role("alert")).to_have_text(REFUSED)
        expect(page.get_by_role("alert")).to_be_focused()
        assert values(page) == {"email": email, "password": ""}
        expect(page.get_by_label("Stay signed in")).not_to_be_checked()


def test_errors_can_be_mended_where_they_are_shown(either_page):
    page = either_page
    sign_up(page, email="", password="short")
    fill_in(page, email=EMAIL, password=PASSWORD)
    send(page, "Sign up")
    assert path_of(page) == "/account"


# Forms that are no longer valid.


def test_expired_form_leads_back_to_one_that_works(either_page):
    page = either_page
    page.goto("/sign-up")
    page.context.clear_cookies()
    send(page, "Sign up")
    assert heading(page) != "Create your account"
    follow(page.get_by_role("link", name="Back"))
    fill_in(page, name=NAME, email=EMAIL, password=PASSWORD)
    send(page, "Sign up")
    assert path_of(page) == "/account"


# The profile.


def test_new_name_is_confirmed_once(either_page):
    page = either_page
    have_account(page)
    page.goto("/account")
    fill_in(page, name="Ada King")
    send(page, "Save name")
    assert path_of(page) == "/account"
    expect(page.get_by_role("status")).to_have_text("Your name has been changed.")
    expect(page.locator(".page-heading")).to_contain_text("Ada King")
    page.reload()
    expect(page.locator(".page-heading")).to_contain_text("Ada King")
    expect(page.get_by_role("status")).to_have_count(0)


def test_wrong_name_is_not_taken_over(either_page):
    page = either_page
    have_account(page)
    page.goto("/account")
    fill_in(page, name=" ")
    send(page, "Save name")
    expect(field(page, "Name")).to_be_focused()
    expect(page.locator(".page-heading")).to_contain_text(NAME)
    follow(page.get_by_role("navigation").get_by_role("link", name="Account"))
    expect(field(page, "Name")).to_have_value(NAME)


def test_markup_in_a_name_is_text(page):
    name = """<img src=x onerror=alert(1)> "'& Ada"""
    have_account(page, name)
    page.goto("/account")
    expect(page.locator(".page-heading")).to_contain_text(name)
    expect(field(page, "Name")).to_have_value(name)
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Hello, {name}")


# What the script adds.


def test_password_can_be_shown_while_it_is_typed(page):
    page.goto("/sign-in")
    fill_in(page, password=PASSWORD)
    password = field(page, "Password")
    press(page, "Show password")
    expect(password).to_have_attribute("type", "text")
    press(page, "Hide password")
    expect(password).to_have_attribute("type", "password")
    expect(password).to_have_value(PASSWORD)


def test_password_is_sent_from_a_password_field(page):
    # Browsers keep what was typed into fields of text, and offer it to whoever types there next.
    page.goto("/sign-in")
    note_submissions(page)
    fill_in(page, email=EMAIL, password=PASSWORD)
    press(page, "Show password")
    press(page, "Sign in")
    assert page.evaluate("submissions") == ["password"]


def test_double_click_sends_the_form_once(page):
    page.goto("/sign-in")
    note_submissions(page)
    page.get_by_role("button", name="Sign in").dblclick()
    assert page.evaluate("submissions") == ["password"]


def test_button_that_only_a_script_could_work_is_not_there_without(open_page):
    page = open_page(javascript=False)
    page.goto("/sign-in")
    expect(field(page, "Password")).to_be_visible()
    expect(page.get_by_role("button", name="Show password")).to_have_count(0)


def test_double_click_signs_up_once(page):
    page.goto("/sign-up")
    fill_in(page, name=NAME, email=EMAIL, password=PASSWORD)
    page.get_by_role("button", name="Sign up").dblclick()
    page.wait_for_url("**/account")
    expect(page.get_by_role("main")).to_contain_text(NAME)


def note_submissions(page: Page) -> None:
    """Puts the type of the password's field into `submissions` each time that a form is sent; and
    stops it there."""
    page.evaluate(
        """() => {
            window.submissions = [];
            document.addEventListener("submit", (event) => {
                if (!event.defaultPrevented) {
                    submissions.push(document.querySelector("#password").type);
                }
                event.preventDefault();
            });
        }"""
    )


def values(page: Page) -> dict[str, str]:
    """What the text fields of the page's main form hold."""
    fields = page.locator("main input:not([type=hidden]):not([type=checkbox])").all()
    return {field.get_attribute("name") or "": field.input_value() for field in fields}


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()
