"""What the script says of a new password while it is typed."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Connection

from authapp.domain.passwords import PasswordPolicy, common_passwords
from authapp.domain.tokens import Purpose
from tests.browser.support import (
    EMAIL,
    NAME,
    PASSWORD,
    accessibility_problems,
    field,
    fill_in,
    have_account,
    path_of,
    press,
    send,
)
from tests.functional.support import id_of, token_for

pytestmark = pytest.mark.browser

REFUSED = "Too easy to guess: this will not be accepted."
WEAK = "Weak: a longer one would be much harder to guess."
FAIR = "Fair: a longer one would be harder to guess."


def guidance(page: Page) -> str:
    """What is seen below the input."""
    return page.locator(".guidance > [aria-hidden]:not(meter)").inner_text()


def level(page: Page) -> float:
    return float(page.locator(".guidance meter").evaluate("(meter) => meter.value"))


@pytest.fixture
def sign_up_page(page: Page) -> Page:
    page.goto("/sign-up")
    fill_in(page, name=NAME, email=EMAIL)
    return page


def test_it_counts_what_is_missing_and_then_says_what_the_password_is_worth(sign_up_page):
    page = sign_up_page
    expect(page.locator(".guidance")).to_be_hidden()
    said = []
    for typed in ("q", "q!7", "q!7 xvoz", "q!7 xvoz pu", "q!7 xvoz pukme", "q!7 xvoz pukme dib"):
        fill_in(page, password=typed)
        said.append((guidance(page), level(page)))
    assert said == [
        ("Characters still missing: 7", 0),
        ("Characters still missing: 5", 0),
        (FAIR, 2),
        ("Good.", 3),
        ("Good.", 3),
        ("Strong.", 4),
    ]
    fill_in(page, password="")
    expect(page.locator(".guidance")).to_be_hidden()


@pytest.mark.parametrize(
    ("password", "said"),
    [
        *(("aaaaaaaa", REFUSED), ("xyxyxyxy", REFUSED), ("7x!7x!7x!", REFUSED)),
        *(("stuvwxyz", REFUSED), ("09876543", REFUSED), ("Qwertzui", REFUSED)),
        *((NAME, REFUSED), (f"{NAME}1!", REFUSED), (EMAIL, REFUSED), ("2026ada lovelace", REFUSED)),
        *(("authapp1", REFUSED), ("localhost!", REFUSED)),
        *((f"{NAME} {NAME} 1815", WEAK), ("authapp authapp authapp", WEAK)),
        *(("a" * 40, WEAK), ("password", WEAK), ("tttttttt1", WEAK)),
        *(("🙂🙂🙂", "Characters still missing: 5"), ("🙂" * 8, REFUSED)),
        *((PASSWORD, "Strong."), ("x7" * 129, "Too long: at most 256 characters.")),
    ],
)
def test_it_says_what_the_server_would(sign_up_page, password, said):
    fill_in(sign_up_page, password=password)
    assert guidance(sign_up_page) == said


def test_nothing_that_the_server_refuses_is_called_strong(sign_up_page):
    """The list of common passwords is too long for the script; none of it may look good enough."""
    page = sign_up_page
    words = ["authapp", "localhost", NAME.lower(), EMAIL, EMAIL.partition("@")[0]]
    refused = sorted(common_passwords()) + [f"{w}{sign}" for w in words for sign in ("", "1", "!")]
    policy = PasswordPolicy(8, ("authapp", "localhost"))
    assert all(policy.problems(p, name=NAME, email=EMAIL) for p in refused)
    levels = page.evaluate(
        "([passwords, words]) => passwords.map((password) => strength(password, words))",
        [refused, words],
    )
    assert max(levels) < 3
    assert sum(found <= 0 for found in levels) / len(levels) > 0.9
    assert set(levels[len(common_passwords()) :]) == {-1}


def test_it_is_read_out_once_the_person_has_paused(sign_up_page):
    page = sign_up_page
    page.evaluate(
        """() => {
            window.heard = [];
            const spoken = document.querySelector(".guidance [role=status]");
            new MutationObserver(() => heard.push(spoken.textContent))
                .observe(spoken, { childList: true });
        }"""
    )
    field(page, "Password").press_sequentially(PASSWORD)
    expect(page.locator(".guidance [role=status]")).to_have_text("Strong.")
    assert page.evaluate("heard") == ["Strong."]


def test_it_does_not_keep_the_form_from_being_sent(sign_up_page):
    page = sign_up_page
    fill_in(page, password="aaaaaaaa")
    assert guidance(page) == REFUSED
    send(page, "Sign up")
    assert path_of(page) == "/sign-up"
    expect(field(page, "Password")).to_have_accessible_description(
        re.compile("This is too easy to guess")
    )


def test_it_asks_nobody(sign_up_page):
    page = sign_up_page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    field(page, "Password").press_sequentially("a password that stays here")
    expect(page.locator(".guidance [role=status]")).not_to_be_empty()
    assert asked == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("password", ["q!7", "aaaaaaaa", PASSWORD])
def test_it_is_accessible_and_fits_a_phone(sign_up_page, scheme, password):
    page = sign_up_page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 320, "height": 740})
    fill_in(page, password=password)
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_it_is_there_where_a_password_is_changed_and_knows_the_name(page):
    have_account(page)
    page.goto("/account/password")
    fill_in(page, current_password=PASSWORD, new_password=f"{NAME}99")
    assert guidance(page) == REFUSED
    fill_in(page, new_password=EMAIL)
    assert guidance(page) == REFUSED


def test_it_is_there_where_a_password_is_reset(page: Page, db: Connection):
    have_account(page)
    page.context.clear_cookies()
    page.goto(f"/reset-password/{token_for(db, id_of(db), Purpose.RESET_PASSWORD)}")
    fill_in(page, new_password=f"{EMAIL}!")
    assert guidance(page) == REFUSED
    fill_in(page, new_password=PASSWORD)
    assert guidance(page) == "Strong."


def test_it_is_not_there_where_somebody_signs_in(page):
    page.goto("/sign-in")
    expect(page.locator(".guidance")).to_have_count(0)


def test_without_a_script_the_hint_says_what_is_asked(open_page):
    page = open_page(javascript=False)
    page.goto("/sign-up")
    fill_in(page, password="q")
    expect(page.locator(".guidance")).to_be_hidden()
    expect(field(page, "Password")).to_have_accessible_description(
        re.compile(r"^At least 8 characters\. A few random words")
    )


@pytest.mark.parametrize("shown", [False, True], ids=["hidden", "shown"])
def test_password_can_be_pasted(sign_up_page, shown):
    page = sign_up_page
    fill_in(page, name="xvoz pukme dib q!7")
    field(page, "Name").press("ControlOrMeta+a")
    field(page, "Name").press("ControlOrMeta+c")
    if shown:
        press(page, "Show password")
    field(page, "Password").focus()
    field(page, "Password").press("ControlOrMeta+v")
    expect(field(page, "Password")).to_have_value("xvoz pukme dib q!7")
    expect(page.locator(".guidance")).to_be_visible()


def test_showing_the_password_keeps_the_caret_where_it_was(sign_up_page):
    page = sign_up_page
    fill_in(page, password="battery staple")
    password = field(page, "Password")
    password.evaluate("(input) => input.setSelectionRange(3, 5)")
    for button in ("Show password", "Hide password"):
        press(page, button)
        caret = password.evaluate("(input) => [input.selectionStart, input.selectionEnd]")
        assert caret == [3, 5], button
    expect(page.get_by_role("button", name="Show password")).to_have_count(1)
