"""A browser before an application in the same process, that can send many requests at once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from pyramid.interfaces import IRequest
from webob import Request

from authapp.testing.views import PATH, VALUE, VIEW

View = Callable[[IRequest], Any]

PATIENCE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One `Set-Cookie` header; the names of the attributes are in lower case."""

    name: str
    value: str
    attributes: dict[str, str]

    @classmethod
    def parse(cls, header: str) -> "SetCookie":
        # By hand: the standard library drops cookies with an attribute that it does not know.
        pair, *rest = header.split(";")
        name, _, value = pair.strip().partition("=")
        attributes = [attribute.strip().partition("=") for attribute in rest]
        return cls(name, value, {key.lower(): text for key, _, text in attributes})

    @property
    def clears(self) -> bool:
        """Whether it makes the browser forget the cookie."""
        if "max-age" in self.attributes:
            return int(self.attributes["max-age"]) <= 0
        if "expires" in self.attributes:
            return parsedate_to_datetime(self.attributes["expires"]).year < 2000
        return False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `value` is what the view returned, `error` what the application raised,
    which a server would have answered with the status 500."""

    status: int
    cookies: Sequence[SetCookie]
    headers: Mapping[str, str] = field(default_factory=dict)
    value: Any = None
    error: Exception | None = None


class Browser:
    """Keeps cookies by their names, as a browser would for one site."""

    def __init__(self, app: Any, base_url: str, cookies: dict[str, str] | None = None) -> None:
        self._app = app
        self._base_url = base_url
        self._lock = threading.Lock()
        self.cookies = dict(cookies or {})

    def copy(self) -> "Browser":
        """Another browser that holds the same cookies, as a thief's would."""
        return Browser(self._app, self._base_url, self.cookies)

    def fresh(self) -> "Browser":
        """Another browser, without cookies."""
        return Browser(self._app, self._base_url)

    def run(self, view: View, path: str = PATH, **options: Any) -> Any:
        """Runs `view` in a request of its own, which must succeed; returns what it returned."""
        answer = self.answer(view, path, **options)
        if answer.error is not None:
            raise answer.error
        if answer.status != 200:
            raise AssertionError(f"the request was answered {answer.status}")
        return answer.value

    def answer(self, view: View, path: str = PATH, **options: Any) -> Answer:
        """Runs `view` in a request of its own, whatever comes of it.

        `path` is that of a page which runs the view that it finds in the environ, as
        `authapp.testing.views.run` does; `options` are WebOb's, for the request.
        """
        environ: dict[str, Any] = {VIEW: view}
        if self.cookies:
            environ["HTTP_COOKIE"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        request = Request.blank(path, environ=environ, base_url=self._base_url, **options)
        try:
            response = request.get_response(self._app)
        except Exception as error:
            return Answer(500, (), error=error)
        cookies = [SetCookie.parse(h) for h in response.headers.getall("Set-Cookie")]
        with self._lock:
            self._take(cookies)
        value = request.environ.get(VALUE)
        return Answer(response.status_int, cookies, response.headers, value)

    def at_once(self, views: Sequence[View]) -> list[Answer]:
        """Runs all views in parallel, each in a request that is sent with the cookies of now."""

        def send(tab: Browser, view: View) -> Answer:
            answer = tab.answer(view)
            with self._lock:
                self._take(answer.cookies)
            return answer

        tabs = [self.copy() for _ in views]
        with ThreadPoolExecutor(len(views)) as threads:
            return list(threads.map(send, tabs, views))

    def _take(self, cookies: Iterable[SetCookie]) -> None:
        for cookie in cookies:
            if cookie.clears:
                self.cookies.pop(cookie.name, None)
            else:
                self.cookies[cookie.name] = cookie.value


class Meeting:
    """Where requests wait for each other; each does so once, however often it is run."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)

    def __call__(self, request: IRequest) -> None:
        key = f"authapp.testing.meeting.{id(self)}"
        if key not in request.environ:
            request.environ[key] = True
            self._barrier.wait(PATIENCE_SECONDS)


class Pause:
    """Where one request waits, the first time it is run, until something else has happened."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._over = threading.Event()

    def __call__(self, request: IRequest) -> None:
        self._reached.set()
        if not self._over.wait(PATIENCE_SECONDS):
            raise TimeoutError("nobody ended the pause")

    def during(self, browser: Browser, view: View, meanwhile: Callable[[], Any]) -> Answer:
        """Sends a request with `view`, which makes this pause, and calls `meanwhile` in it."""
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(browser.answer, view)
            try:
                if not self._reached.wait(PATIENCE_SECONDS):
                    raise TimeoutError("the request did not get as far as the pause")
                meanwhile()
            finally:
                self._over.set()
            return answer.result()


def statuses(answers: Iterable[Answer]) -> dict[int, int]:
    """How many answers had which status."""
    return dict(Counter(answer.status for answer in answers))
