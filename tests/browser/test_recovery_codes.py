from pathlib import Path

import pytest

from tests.browser.pages import two_factor_codes

pytestmark = pytest.mark.browser


def test_codes_are_saved_to_a_file(either_page):
    page = either_page
    two_factor_codes(page)
    codes = page.locator("main code").all_inner_texts()

    with page.expect_download() as download:
        page.get_by_role("link", name="Download the codes").click()

    assert download.value.suggested_filename == "recovery-codes.txt"
    assert Path(download.value.path()).read_text().split("\n") == codes
    assert len(codes) == 10


def test_one_click_selects_all_codes(either_page):
    page = either_page
    two_factor_codes(page)
    codes = page.locator("main code")

    codes.nth(3).click()

    assert page.evaluate("getSelection().toString()").split() == codes.all_inner_texts()
