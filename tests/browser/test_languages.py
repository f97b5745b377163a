"""Pages in other languages: nothing is left in English, and nothing falls over the edge."""

import pytest
from playwright.sync_api import Page

from authapp.languages import Languages
from tests.browser import pages, pseudo_language, support
from tests.browser.pages import PAGES
from tests.browser.support import EMAIL, NAME, accessibility_problems

pytestmark = pytest.mark.browser

# What is the same in every language: names of people, browsers, systems, zones and standards.
KNOWN = f"""{NAME} {EMAIL} {pages.LONG_NAME} {pages.LONG_EMAIL} King authapp name com UTC
    Chrome Firefox Safari Windows Linux iPhone curl HeadlessChrome Deutsch English"""
VISIBLE_TEXT = """() => {
    const texts = [document.title];
    let text = "";
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { parentElement, data } = walker.currentNode;
        if (!parentElement.closest("script, style, code, time, bdi, [lang]:not(html)")) {
            text += data;
        }
    }
    for (const name of ["aria-label", "alt", "title", "placeholder", "aria-description"]) {
        for (const element of document.querySelectorAll(`[${name}]`)) {
            texts.push(element.getAttribute(name));
        }
    }
    const description = document.querySelector("meta[name=description]");
    return [...texts, text, description ? description.content : ""];
}"""

BROKEN_WORDS = """() => {
    const broken = [];
    const walker = document.createTreeWalker(document.querySelector("table"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode;
        if (node.parentElement.closest("bdi")) continue;
        for (const word of node.data.matchAll(/[\\p{L}\\d]+/gu)) {
            const range = new Range();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) {
                broken.push(word[0]);
            }
        }
    }
    return broken;
}"""


@pytest.fixture
def pseudo_page(page, catalogues, monkeypatch) -> Page:
    """A page in the pseudo-language, whose buttons and fields are found by their words in it."""
    monkeypatch.setattr(support, "language", Languages([pseudo_language.TAG], [catalogues]).default)
    page.set_extra_http_headers({"Accept-Language": pseudo_language.TAG})
    return page


@pytest.mark.parametrize("name", PAGES)
def test_every_word_can_be_translated_and_lines_may_run_from_right_to_left(pseudo_page, db, name):
    PAGES[name](pseudo_page, db)

    root = pseudo_page.locator("html")
    assert (root.get_attribute("lang"), root.get_attribute("dir")) == ("ar", "rtl")
    texts = pseudo_page.evaluate(VISIBLE_TEXT)
    assert [
        (text, hard) for text in texts if (hard := pseudo_language.hard_coded(text, KNOWN))
    ] == []
    for width in (1280, 360):
        pseudo_page.set_viewport_size({"width": width, "height": 740})
        overhang = pseudo_page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overhang <= 0, f"scrolls sideways at {width} px"
    assert accessibility_problems(pseudo_page) == []


@pytest.mark.parametrize("tag", ["en", "de", "es"])
@pytest.mark.parametrize("name", ["activity", "admin-list", "admin-user"])
def test_tables_break_no_word_in_the_middle(page, db, monkeypatch, name, tag):
    monkeypatch.setattr(support, "language", Languages(["en", "de", "es"]).of(tag))
    page.set_extra_http_headers({"Accept-Language": tag})
    PAGES[name](page, db)
    for width in (320, 768, 800, 900, 1024, 1280):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate(BROKEN_WORDS) == [], f"at {width} px"
