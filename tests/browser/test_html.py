"""What the server sends is valid HTML, on every page and in every state of it."""

import pytest

from tests.browser.html_checker import Documents
from tests.browser.pages import PAGES

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", PAGES)
def test_page_is_valid_html(html_checker, page, db, name):
    with Documents(page) as documents:
        PAGES[name](page, db)

    assert html_checker.problems(documents.last()) == []


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ("<p><b>One</p>", "Unclosed element “b”"),
        ("<img src='/static/authapp/favicon.svg'>", "“alt”"),
        ("<p id=a></p><p id=a></p>", "Duplicate ID"),
        ("<label for=nothing>Name</label>", "“for”"),
    ],
)
def test_checker_finds_what_is_wrong(html_checker, html, problem):
    page = f"<!DOCTYPE html><html lang=en><title>A page</title><body>{html}"
    found = html_checker.problems(page.encode())
    assert problem in " ".join(found)
