"""The colours and the logo that an operator has set, as a browser shows them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from authapp.domain.colours import nearest_shade
from authapp.domain.theme import DARK_GROUND, LIGHT_GROUND, MINIMUM_CONTRAST
from tests.browser.support import Server, Watch, accessibility_problems, fill_in, send

pytestmark = pytest.mark.browser

# As near to what is refused as there is: what can be read in these can be read in all.
ACCENT = nearest_shade("#ffcc00", LIGHT_GROUND, MINIMUM_CONTRAST)
ACCENT_DARK = nearest_shade("#6d28d9", DARK_GROUND, MINIMUM_CONTRAST)
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 30" width="90" height="30">'
    '<style>rect{fill:#b3261e}</style><rect width="90" height="30"/>'
    "<script>document.title = 'run'</script></svg>"
)


@pytest.fixture(scope="module")
def branded(
    migrated_url: str, ini: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("branded")
    (folder / "logo.svg").write_text(LOGO)
    settings = [
        "[app:main]",
        "site.name = Plum & Co",
        "site.logo = %(here)s/logo.svg",
        f"site.accent = {ACCENT}",
        f"site.accent_dark = {ACCENT_DARK}",
    ]
    path = folder / "branded.ini"
    path.write_text(ini.read_text().replace("[app:main]", "\n".join(settings)))
    server = Server(path, folder / "log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def branded_page(chromium: Browser, branded: Server) -> Iterator[Page]:
    watch = Watch(branded.url)
    context = chromium.new_context(base_url=branded.url)
    watch.over(context)
    page = context.new_page()
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    yield page
    context.close()
    assert watch.complaints == []


@pytest.mark.parametrize(("scheme", "accent"), [("light", ACCENT), ("dark", ACCENT_DARK)])
def test_buttons_links_and_focus_rings_have_the_colour(branded_page, scheme, accent):
    page = branded_page
    page.emulate_media(color_scheme=scheme)
    page.goto("/sign-in")
    button = page.get_by_role("button", name="Sign in")
    link = page.get_by_role("link", name="Forgot your password?")
    link.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    colour = f"rgb({', '.join(str(channel) for channel in bytes.fromhex(accent[1:]))})"
    expect(button).to_have_css("background-color", colour)
    expect(link).to_have_css("color", colour)
    expect(link).to_have_css("outline-color", colour)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/sign-up", "/sign-in", "/nowhere"])
def test_colours_at_the_edge_of_what_is_let_in_can_be_read(branded_page, scheme, path):
    page = branded_page
    page.emulate_media(color_scheme=scheme)
    page.goto(path)
    assert accessibility_problems(page) == []
    if path == "/sign-up":
        fill_in(page, email="nobody", password="short")
        send(page, "Sign up")
        assert accessibility_problems(page) == []


def test_logo_is_as_wide_as_it_is_drawn_and_is_not_stretched(branded_page):
    page = branded_page
    page.goto("/")
    box = page.locator(".brand img").bounding_box()
    assert box is not None
    assert box["width"] / box["height"] == pytest.approx(3, abs=0.1)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_logo_that_is_opened_by_itself_runs_nothing(chromium, branded):
    # Chromium reports to the console that it runs no script: here it is to.
    context = chromium.new_context(base_url=branded.url)
    page = context.new_page()
    page.goto("/")
    address = page.locator(".brand img").get_attribute("src")
    assert re.fullmatch(r"/brand/logo-[0-9a-f]{16}\.svg", address)
    page.goto(address)
    assert page.title() != "run"
    assert page.evaluate("getComputedStyle(document.querySelector('rect')).fill") == (
        "rgb(179, 38, 30)"
    )
    context.close()
