"""Chromium before the real server, each test with browsers of its own and an empty database."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from sqlalchemy import Connection

from tests.browser import pseudo_language
from tests.browser.html_checker import HtmlChecker
from tests.browser.support import OpenPage, Server, Watch

# The names under which distributions install it.
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
# Nothing here may leave the machine, neither what a page asks for nor what Chromium does by itself.
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
    "--no-first-run",
    "--no-sandbox",  # It does not start as root otherwise.
]
PATIENCE_MS = 5_000


@pytest.fixture(scope="session")
def launch_options() -> dict[str, Any]:
    """Without a Chromium the tests are skipped, or fail if AUTHAPP_BROWSER says `required`."""
    for name in CHROMIUMS:
        if path := shutil.which(name):
            return {"executable_path": path, "args": ARGUMENTS}
    message = f"no {', '.join(CHROMIUMS)} on PATH. On Debian: apt-get install chromium"
    if os.environ.get("AUTHAPP_BROWSER") == "required":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pseudo_language.write_catalogue(tmp_path_factory.mktemp("catalogues"))


@pytest.fixture(scope="session")
def ini(ini: Path, catalogues: Path) -> Path:
    """One for a site that also speaks the pseudo-language."""
    spoken = f"[app:main]\nlanguage.offered = en de es {pseudo_language.TAG}\n"
    text = ini.read_text().replace("[app:main]\n", f"{spoken}language.catalogues = {catalogues}\n")
    path = catalogues / "test.ini"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def html_checker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HtmlChecker]:
    """Without Java and the jar tests are skipped, or fail if AUTHAPP_BROWSER says `required`."""
    java, jar = shutil.which("java"), os.environ.get("AUTHAPP_VNU_JAR")
    if java is None or jar is None:
        message = "no java on PATH, or AUTHAPP_VNU_JAR does not name the jar of .ci/html-checker"
        if os.environ.get("AUTHAPP_BROWSER") == "required":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    checker = HtmlChecker(java, jar, tmp_path_factory.mktemp("html-checker") / "log")
    yield checker
    checker.stop()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(launch_options: dict[str, Any], playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(**launch_options)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def server(
    migrated_url: str, ini: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(ini, tmp_path_factory.mktemp("server") / "log")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def watch(server: Server) -> Watch:
    return Watch(server.url)


@pytest.fixture
def watched(watch: Watch) -> Iterator[Watch]:
    """What is noticed during a test makes it fail."""
    yield watch
    complaints, watch.complaints = watch.complaints, []
    assert complaints == []


@pytest.fixture(scope="session")
def idle_pages() -> dict[bool, list[Page]]:
    """Pages to be used again, with JavaScript and without. Opening one takes longer than a test."""
    return {True: [], False: []}


@pytest.fixture
def open_page(
    chromium: Browser,
    server: Server,
    watched: Watch,
    idle_pages: dict[bool, list[Page]],
    db: Connection,
) -> Iterator[OpenPage]:
    """Opens a page in a browser of its own, without cookies, as if on another device."""
    used = []

    def open_page(*, javascript: bool = True) -> Page:
        if idle_pages[javascript]:
            page = idle_pages[javascript].pop()
        else:
            context = chromium.new_context(base_url=server.url, java_script_enabled=javascript)
            context.set_default_timeout(PATIENCE_MS)
            watched.over(context)
            page = context.new_page()
        # Without transitions from one colour to the next, in which nothing could be measured.
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.set_viewport_size({"width": 1280, "height": 800})
        used.append((javascript, page))
        return page

    yield open_page
    for javascript, page in used:
        for other in page.context.pages:
            if other is not page:
                other.close()
        page.context.clear_cookies()
        page.set_extra_http_headers({})
        idle_pages[javascript].append(page)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page()


@pytest.fixture(params=[True, False], ids=["with-script", "without-script"])
def either_page(request: pytest.FixtureRequest, open_page: OpenPage) -> Page:
    """For what must work without JavaScript as well: each such test runs twice."""
    return open_page(javascript=request.param)
