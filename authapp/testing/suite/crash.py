"""kill -9 at any moment leaves a session wholly old or wholly new."""

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from http.client import HTTPException
from typing import ClassVar, Protocol
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from authapp.testing.browser import PATIENCE_SECONDS, SetCookie
from authapp.testing.views import PAIR_PATH


class Server(Protocol):
    """A process that serves the application, which includes `authapp.testing.views`."""

    url: str

    def kill(self) -> None:
        """Ends the process by SIGKILL, and returns when it is gone."""
        ...


class Visitor:
    """Sets the two keys of the page `pair` to 1, 2, 3 … and knows what it was told about that."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged = 0
        self._cookie = ""

    def write_until_it_is_killed(self, server: Server, progress: Callable[[], None]) -> None:
        # A number that no answer came for is not used again, or it could not be told apart.
        while True:
            self.sent += 1
            try:
                self._get(f"{server.url}{PAIR_PATH}?number={self.sent}")
            except HTTPError:
                raise
            except (OSError, HTTPException):
                return
            self.acknowledged = self.sent
            progress()

    def read(self, server: Server) -> Sequence[int | None]:
        pair: Sequence[int | None] = json.loads(self._get(f"{server.url}{PAIR_PATH}"))
        return pair

    def _get(self, url: str) -> bytes:
        request = Request(url, headers={"Cookie": self._cookie})  # noqa: S310  # The suite's own.
        with urlopen(request, timeout=PATIENCE_SECONDS) as response:  # noqa: S310
            body: bytes = response.read()
            for header in response.headers.get_all("Set-Cookie", ()):
                cookie = SetCookie.parse(header)
                self._cookie = f"{cookie.name}={cookie.value}"
        return body


class SessionCrashSuite:
    """Kills a server while it commits sessions, again and again, and looks at what is left.

    Subclass it under a name that pytest collects and give it the fixture `serve`.
    """

    kills: ClassVar[int] = 5
    visitors: ClassVar[int] = 4

    @pytest.fixture
    def serve(self) -> Callable[[], AbstractContextManager[Server]]:
        """`serve()`: a context manager that starts a server, and ends it if it still runs."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `serve`")

    def test_what_was_acknowledged_survives_and_nothing_is_torn(
        self, serve: Callable[[], AbstractContextManager[Server]]
    ) -> None:
        """After a kill -9 at whatever moment each session is wholly as one request left it, and
        not as one before the last that was answered."""
        visitors = [Visitor() for _ in range(self.visitors)]
        for _ in range(self.kills):
            with serve() as server:
                self._check(visitors, server)
                self._write_and_kill(visitors, server)
        with serve() as server:
            self._check(visitors, server)

    def _write_and_kill(self, visitors: Sequence[Visitor], server: Server) -> None:
        # Enough answers that everybody is at it, and then some, so that each kill comes at
        # another moment of a request.
        enough = threading.Semaphore(0)
        with ThreadPoolExecutor(len(visitors)) as threads:
            writing = [
                threads.submit(visitor.write_until_it_is_killed, server, enough.release)
                for visitor in visitors
            ]
            try:
                for _ in range(random.randint(10, 60)):  # noqa: S311
                    assert enough.acquire(timeout=PATIENCE_SECONDS), "the server does not answer"
                time.sleep(random.uniform(0, 0.01))  # noqa: S311
            finally:
                server.kill()
            for future in writing:
                future.result()

    def _check(self, visitors: Sequence[Visitor], server: Server) -> None:
        for visitor in visitors:
            one, two = visitor.read(server)
            assert one == two
            assert visitor.acknowledged <= (one or 0) <= visitor.sent
