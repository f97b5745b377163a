"""The pages that links in mail lead to, in a browser that tells nobody where it came from."""

import pytest
from sqlalchemy import text

from authapp.domain.tokens import Purpose
from tests.browser.support import EMAIL, accessibility_problems, fill_in, have_account, send
from tests.functional.support import id_of, token_for

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("address", "purpose", "button"),
    [
        ("/reset-password/", Purpose.RESET_PASSWORD, "Set password"),
        ("/verify-email/", Purpose.VERIFY_EMAIL, "Yes, it is mine"),
    ],
)
def test_page_is_accessible_and_its_form_is_taken(page, db, address, purpose, button):
    have_account(page)
    page.context.clear_cookies()
    token = token_for(db, id_of(db), purpose)
    referrers = []
    page.on("request", lambda request: referrers.append(request.headers.get("referer")))

    page.goto(f"{address}{token}")
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert accessibility_problems(page) == []
    if purpose is Purpose.RESET_PASSWORD:
        fill_in(page, new_password="quite another password")
    send(page, button)

    assert page.url.endswith("/sign-in")
    assert page.locator("[role=status]").count() == 1
    assert not any(token in (referrer or "") for referrer in referrers)
    assert db.execute(text("SELECT email_verified_at FROM users")).scalar_one()
    assert db.execute(text("SELECT email FROM users")).scalar_one() == EMAIL
