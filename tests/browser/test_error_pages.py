import re

import pytest
from playwright.sync_api import expect

from tests.browser.support import (
    EMAIL,
    PASSWORD,
    Server,
    Watch,
    accessibility_problems,
    follow,
    path_of,
    sign_in,
)

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("address", "status"),
    [("/nowhere", 404), ("/sign-out", 405), ("/account/profile", 405), ("/%FF", 400)],
)
def test_error_page_says_what_happened_and_leads_home(open_page, address, status):
    page = open_page(javascript=False)
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == status
    main = page.get_by_role("main")
    expect(main).to_contain_text(f"Error {status}")
    expect(main.get_by_role("heading", level=1)).to_be_in_viewport(ratio=1)
    expect(main.locator("p.lead")).to_have_text(re.compile(r"\w+.*\.$", re.DOTALL))
    follow(main.get_by_role("link", name="To the front page"))
    assert path_of(page) == "/"


@pytest.fixture
def cut_off(ini, tmp_path):
    """A server whose database cannot be reached."""
    path = tmp_path / "cut-off.ini"
    url = "sqlalchemy.url = postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
    path.write_text(re.sub(r"(?m)^sqlalchemy\.url = .*$", url, ini.read_text()))
    server = Server(path, tmp_path / "log")
    server.start()
    yield server
    server.stop()


def test_page_is_shown_without_a_database(cut_off, chromium):
    watch = Watch(cut_off.url)
    with chromium.new_context(base_url=cut_off.url, reduced_motion="reduce") as context:
        watch.over(context)
        page = context.new_page()
        page.goto("/")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Sign in once.")
        sign_in(page, EMAIL, PASSWORD)
        expect(page.get_by_role("main")).to_contain_text("Error 503")
        expect(page.get_by_role("main")).to_contain_text("look first whether it has been done")
        assert accessibility_problems(page) == []
    assert watch.complaints == []
