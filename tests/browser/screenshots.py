"""Pictures of every page and letter, to be looked at, and those of the README: `make screenshots`.

Its name does not begin with `test_`, so that it runs only when it is asked for.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import Connection, text

from authapp.domain.mail import LetterKind
from authapp.languages import Languages
from tests.browser import pseudo_language, support
from tests.browser.pages import PAGES, account, sign_in_empty
from tests.browser.support import EMAIL, Server, fill_in
from tests.mailing import site_of, specimen

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
ALL = ROOT / "test-results" / "screenshots"
README = ROOT / "docs" / "img"
README_MAX_BYTES = 200_000

LAPTOP, PHONE = (1280, 800), (360, 740)
SCHEMES = ("light", "dark")


@pytest.fixture
def open_sharp(chromium: Browser, server: Server, db: Connection) -> Iterator[Callable[..., Page]]:
    """Opens an empty page on a screen of a given size, with two dots to a pixel."""
    contexts = []

    def open_sharp(size: tuple[int, int], **options: Any) -> Page:
        width, height = size
        context = chromium.new_context(
            base_url=server.url,
            viewport={"width": width, "height": height},
            device_scale_factor=2,
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        return context.new_page()

    yield open_sharp
    for context in contexts:
        context.close()


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page(open_sharp, db, name, size):
    page = open_sharp(size)
    PAGES[name](page, db)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=ALL / f"{name}-{size[0]}-{scheme}.png", full_page=True)


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("tag", ["de", "es", pseudo_language.TAG])
@pytest.mark.parametrize(
    "name",
    ["home", "sign-up-errors", "sign-in-refused", "account", "activity", "admin-user"],
)
def test_other_languages(open_sharp, catalogues, monkeypatch, db, name, tag, size):
    spoken = Languages(["en", "de", "es", pseudo_language.TAG], [catalogues])
    monkeypatch.setattr(support, "language", spoken.of(tag))
    page = open_sharp(size, extra_http_headers={"Accept-Language": tag})
    PAGES[name](page, db)
    page.screenshot(path=ALL / f"{name}-{size[0]}-{tag}.png", full_page=True)


@pytest.mark.parametrize("width", [600, 320], ids=["laptop", "phone"])
@pytest.mark.parametrize("kind", LetterKind)
def test_every_letter(open_sharp, kind, width):
    site = site_of("https://accounts.example.com", "Harbour & Sons")
    page = open_sharp((width, 400))
    page.set_content(specimen(kind, site, Languages(["en"])).html)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=ALL / f"mail-{kind}-{width}-{scheme}.png", full_page=True)


def sign_in_filled(page: Page, db: Connection) -> None:
    sign_in_empty(page)
    fill_in(page, email=EMAIL, password="never shown")


def account_in_use(page: Page, db: Connection) -> None:
    account(page)
    db.execute(text("UPDATE users SET email_verified_at = now(), second_factor_at = now()"))
    page.reload()


@pytest.mark.parametrize(
    ("name", "way", "size", "scheme"),
    [
        ("sign-in", sign_in_filled, (1000, 640), "light"),
        ("account", account_in_use, (1000, 848), "light"),
        ("sign-in-phone-dark", sign_in_filled, PHONE, "dark"),
    ],
)
def test_figures_of_the_readme(open_sharp, db, name, way, size, scheme):
    page = open_sharp(size, color_scheme=scheme)
    way(page, db)
    path = README / f"{name}.png"
    page.screenshot(path=path, caret="hide")
    assert path.stat().st_size < README_MAX_BYTES
