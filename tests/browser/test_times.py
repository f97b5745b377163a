"""Moments, by the clock and in the writing of whoever looks at them."""

import re
from datetime import datetime

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from tests.browser.support import Server, Watch, have_account

pytestmark = pytest.mark.browser

MOMENT = datetime.fromisoformat("2026-07-04T22:05:00+00:00")


@pytest.fixture
def look(chromium: Browser, server: Server, watch: Watch, db):
    """Opens the page of the account's activity as somebody in another place."""
    contexts = []

    def look(**place) -> Page:
        context = chromium.new_context(base_url=server.url, **place)
        context.set_default_timeout(5_000)
        contexts.append(context)
        watch.over(context)
        page = context.new_page()
        have_account(page)
        db.execute(text("UPDATE security_events SET created_at = :at"), {"at": MOMENT})
        page.goto("/account/activity")
        return page

    yield look
    for context in contexts:
        context.close()
    complaints, watch.complaints = watch.complaints, []
    assert complaints == []


@pytest.mark.parametrize(
    ("locale", "zone", "written"),
    [
        ("en-US", "America/New_York", r"July 4, 2026 at 6:05\sPM EDT"),
        ("en-GB", "Asia/Tokyo", r"5 July 2026 at 07:05 GMT\+9"),
        ("de-DE", "Europe/Berlin", r"5\. Juli 2026 um 00:05 MESZ"),
        # The page is in English, as it knows no French.
        ("fr-FR", "Europe/Berlin", r"July 5, 2026 at 12:05\sAM GMT\+2"),
    ],
)
def test_it_is_the_clock_of_the_person_in_the_language_of_the_page(look, locale, zone, written):
    page = look(locale=locale, timezone_id=zone)
    moment = page.locator("main time").first
    expect(moment).to_have_text(re.compile(f"^{written}$"))
    expect(moment).to_have_attribute("datetime", "2026-07-04T22:05:00+00:00")


def test_without_a_script_it_is_that_of_the_server_which_says_so(look):
    page = look(locale="en-US", timezone_id="America/New_York", java_script_enabled=False)
    expect(page.locator("main time").first).to_have_text(
        re.compile(r"^July 4, 2026, 10:05\sPM UTC$")
    )


def test_days_stay_what_they_are(look):
    """A day alone is no moment: elsewhere it would become the day before."""
    page = look(locale="en-US", timezone_id="Pacific/Honolulu")
    page.goto("/account")
    since = page.locator("main time").first
    before = since.evaluate("(time) => time.dateTime")
    assert len(before) == len("2026-07-04")
    expect(since).not_to_have_attribute("data-local", re.compile(""))
