"""The Nu Html Checker, as at https://validator.w3.org/nu: one process of it for all pages."""

import json
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Self

from playwright.sync_api import Page, Response


class HtmlChecker:
    """A process that is asked over http, at this machine's own address only."""

    def __init__(self, java: str, jar: str, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    java,
                    "-Dnu.validator.servlet.bind-address=127.0.0.1",
                    *("-cp", jar, "nu.validator.servlet.Main", str(self._port)),
                ],
                stdout=output,
                stderr=output,
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=5).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"no checker:\n{self._log.read_text()}") from None
                time.sleep(0.1)
            else:
                return

    def problems(self, html: bytes) -> list[str]:
        """A line for each error, each warning, and whatever else there is to say."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/?out=json",
            data=html,
            headers={"Content-Type": "text/html; charset=utf-8"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            messages = json.load(answer)["messages"]
        return [
            f"line {message.get('lastLine')}: {message['message']}: {message.get('extract')}"
            for message in messages
        ]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


class Documents:
    """What the server sends for a page, before the browser mends what is wrong in it."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._last: Response | None = None

    def __enter__(self) -> Self:
        self._page.on("response", self._note)
        return self

    def __exit__(self, *error: object) -> None:
        self._page.remove_listener("response", self._note)

    def _note(self, response: Response) -> None:
        is_redirect = 300 <= response.status < 400
        if response.request.is_navigation_request() and not is_redirect:
            self._last = response

    def last(self) -> bytes:
        assert self._last is not None, "no page was opened"
        return self._last.body()
