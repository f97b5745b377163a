import pytest
from playwright.sync_api import Page

from tests.browser.pages import PAGES
from tests.browser.support import accessibility_problems

pytestmark = pytest.mark.browser

HEIGHT = 740


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_the_window_and_is_accessible(page, db, name):
    PAGES[name](page, db)
    # A laptop, a phone, and the narrowest screen that is still in use.
    for width, scheme in [(1280, "light"), (360, "dark"), (320, "light")]:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.emulate_media(color_scheme=scheme)
        for direction in ("rtl", "ltr"):
            page.evaluate("direction => { document.documentElement.dir = direction }", direction)
            overhang = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overhang <= 0, f"scrolls sideways at {width} px, {direction}"
        if width > 320:
            assert accessibility_problems(page) == [], scheme


@pytest.mark.parametrize("address", ["/", "/sign-in", "/nowhere"])
def test_colours_follow_the_system(page, address):
    page.goto(address)
    page.emulate_media(color_scheme="light")
    assert brightness(page, "background-color") > 200 > 60 > brightness(page, "color")
    page.emulate_media(color_scheme="dark")
    assert brightness(page, "background-color") < 60 < 200 < brightness(page, "color")


def brightness(page: Page, property_name: str) -> float:
    """Of a colour of the page, from 0, which is black, to 255."""
    # It is painted, since a mixed colour may be told in any notation.
    red, green, blue, _ = page.locator("body").evaluate(
        """(body, name) => {
            const canvas = new OffscreenCanvas(1, 1).getContext("2d");
            canvas.fillStyle = getComputedStyle(body).getPropertyValue(name);
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
        }""",
        property_name,
    )
    return float(red + green + blue) / 3
