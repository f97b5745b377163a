"""The server as a process of its own, a watch over the browser, and what a person does in it."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, WebError

from authapp.languages import Language

NAME = "Ada Lovelace"
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"

# WCAG 2.2 up to level AA, and what axe-core recommends beyond that.
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Whoever has to press Tab more often than this would give up.
MOST_STOPS = 20

OpenPage = Callable[..., Page]

# The one that pages are in; tests name buttons and fields in English all the same.
language = Language("en")


class Server:
    """`pserve INI` on a free port. It can be stopped, killed, and started again on the same one."""

    def __init__(self, ini: Path, log: Path) -> None:
        self._ini = ini
        self._log = log
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self._port}"

    def start(self) -> None:
        """Returns when the server answers."""
        pserve = Path(sys.executable).with_name("pserve")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [pserve, self._ini, f"http_port={self._port}"], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self._log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As `kill -9` does: without a chance to put anything in order."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=10)
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Watch:
    """Notes what no page may do, with or without a script.

    That is: to write an error or a warning to the console, where a breach of the Content Security
    Policy ends up as well, to throw an error, or to ask any other origin for anything.
    """

    def __init__(self, origin: str) -> None:
        self.complaints: list[str] = []
        self._origin = origin
        self._documents: set[str] = set()

    def over(self, context: BrowserContext) -> None:
        """Watches all pages of `context`."""
        context.on("request", self._on_request)
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)

    def _on_request(self, request: Request) -> None:
        if request.is_navigation_request():
            self._documents.add(request.url)
        if not request.url.startswith((f"{self._origin}/", "data:")):
            self.complaints.append(f"asks another origin: {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        # A page that is itself an error, such as a 404, is reported as "Failed to load".
        is_own_status = (
            message.text.startswith("Failed to load resource: the server responded with a status")
            and message.location["url"] in self._documents
        )
        if message.type in {"error", "warning"} and not is_own_status:
            self.complaints.append(f"writes to the console: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self.complaints.append(f"throws: {error.error}")


def accessibility_problems(page: Page) -> list[str]:
    """What axe-core finds wrong, a line for each rule and element."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"preload": False, "runOnly": AXE_RULES}).response
    return [
        f"{violation['id']}: {node['html']}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# What a person does. Each ends when the page that follows is there.


def have_account(page: Page, name: str = NAME, email: str = EMAIL) -> None:
    """Makes an account past the pages, which is faster, and signs the page's browser in."""
    account = {"name": name, "email": email, "password": PASSWORD}
    assert page.request.post("/sign-up", data=account).status == 201


def sign_up(page: Page, name: str = NAME, email: str = EMAIL, password: str = PASSWORD) -> None:
    page.goto("/sign-up")
    fill_in(page, name=name, email=email, password=password)
    send(page, "Sign up")


def sign_in(
    page: Page, email: str = EMAIL, password: str = PASSWORD, *, remember: bool = True
) -> None:
    page.goto("/sign-in")
    fill_in(page, email=email, password=password)
    field(page, "Stay signed in").set_checked(remember)
    send(page, "Sign in")


def sign_in_elsewhere(page: Page, user_agent: str, email: str = EMAIL) -> None:
    """Signs the person in with another browser, which is only said to be one."""
    request = urllib.request.Request(
        urljoin(page.url, "/sign-in"),
        data=json.dumps({"email": email, "password": PASSWORD}).encode(),
        headers={"Content-Type": "application/json", "User-Agent": user_agent},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def sign_out(page: Page) -> None:
    send(page, "Sign out")


def fill_in(page: Page, **fields: str) -> None:
    """Fills in the fields that have these labels, capital letters aside."""
    for label, text in fields.items():
        field(page, label.replace("_", " ").capitalize()).fill(text)


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(language.gettext(label), exact=True)


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=language.gettext(button), exact=True).click()


def send(page: Page, button: str) -> None:
    """Presses the button of a form; the page that follows may be the same one again."""
    with page.expect_navigation():
        press(page, button)


def follow(link: Locator) -> None:
    """Clicks a link to another page."""
    with link.page.expect_navigation():
        link.click()


def follow_link(page: Page, words: str) -> None:
    follow(page.get_by_role("link", name=language.gettext(words), exact=True))


def tab_to(target: Locator) -> None:
    """Presses Tab until `target` has the focus."""
    for _ in range(MOST_STOPS):
        target.page.keyboard.press("Tab")
        if target.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"{target} is not reached by Tab")


def press_key(page: Page, key: str) -> None:
    """Presses a key that leads to another page, or to the same one again."""
    with page.expect_navigation():
        page.keyboard.press(key)


def path_of(page: Page) -> str:
    """The page's address without the scheme and the host."""
    return urlsplit(page.url)._replace(scheme="", netloc="").geturl()
