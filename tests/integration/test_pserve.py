"""The application as people start it: `pserve INI http_port=PORT`, in processes of its own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

ADA = {"name": "Ada", "email": "ada@example.com", "password": "correct horse battery staple"}


class Server:
    """A pserve process."""

    def __init__(self, ini: Path, port: int, log: Path) -> None:
        self.port = port
        self._log = log.open("ab")
        command = [sys.executable, "-m", "pyramid.scripts.pserve", str(ini), f"http_port={port}"]
        self.process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env={**os.environ, "PYTHONWARNINGS": ""}
        )

    def wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                assert self.process.poll() is None, Path(self._log.name).read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        status = self.process.wait(timeout=20)
        self._log.close()
        return status


class Client:
    """A program that keeps its cookies, whichever server it talks to."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def ask(
        self, server: Server, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        sent = {"Accept": "application/json", **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection.request(method, path, json.dumps(body) if body is not None else None, sent)
        response = connection.getresponse()
        for header in response.headers.get_all("Set-Cookie", ()):
            self.cookies |= {name: m.value for name, m in SimpleCookie(header).items()}
        content = response.read()
        connection.close()
        return response.status, json.loads(content) if content else None


@pytest.fixture(scope="module")
def serve(
    ini: Path, migrated_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Server]]:
    log = tmp_path_factory.mktemp("pserve") / "log"
    servers: list[Server] = []

    def start(port: int | None = None) -> Server:
        if port is None:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
        servers.append(Server(ini, port, log))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def server(serve: Callable[..., Server]) -> Server:
    """One that all tests may use that leave it running."""
    server = serve()
    server.wait()
    return server


def user(client: Client, server: Server) -> Any:
    status, body = client.ask(server, "GET", "/")
    assert status == 200
    return body["user"]


def test_person_stays_signed_in_though_the_server_is_killed(serve, db):
    client = Client()
    server = serve()
    server.wait()
    status, body = client.ask(server, "POST", "/sign-up", ADA)
    assert status == 201
    cookie = dict(client.cookies)

    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    again = serve(server.port)
    again.wait()

    assert user(client, again) == body["user"]
    assert client.cookies == cookie
    assert client.ask(again, "POST", "/sign-out", {})[0] == 204
    assert user(client, again) is None


def test_two_processes_share_their_sessions(serve, db):
    servers = [serve(), serve()]
    for server in servers:
        server.wait()
    first, second = servers
    client, copy = Client(), Client()

    assert client.ask(first, "POST", "/sign-up", ADA)[0] == 201
    copy.cookies = dict(client.cookies)
    assert user(client, second)["name"] == "Ada"
    assert client.ask(second, "POST", "/account/profile", {"name": "Countess"})[0] == 200
    assert user(copy, first)["name"] == "Countess"
    assert client.ask(second, "POST", "/sign-out", {})[0] == 204
    assert user(copy, first) is None

    # And end when they are asked to.
    for server, number in ((first, signal.SIGTERM), (second, signal.SIGINT)):
        begun = time.monotonic()
        status = server.end(number)
        assert status in {0, -number, 128 + number}
        assert time.monotonic() - begun < 10
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))


def exchange(server: Server, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        answer = b""
        # Of a request that is much too long the server does not read the rest.
        with suppress(ConnectionError):
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                answer += data
        return answer


def test_bytes_that_no_browser_sends_are_refused_politely(server, db):
    host = f"Host: localhost:{server.port}\r\nConnection: close\r\n"
    requests = {
        "path": f"GET /\xff HTTP/1.1\r\n{host}\r\n",
        "escaped path": f"GET /%c0%af%ff HTTP/1.1\r\n{host}\r\n",
        "NUL in a path": f"GET /static/authapp/%00 HTTP/1.1\r\n{host}\r\n",
        "parent of static files": f"GET /static/authapp/../../setup.py HTTP/1.1\r\n{host}\r\n",
        "escaped parent": f"GET /static/authapp/%2e%2e/%2e%2e/setup.py HTTP/1.1\r\n{host}\r\n",
        "cookie": f'GET / HTTP/1.1\r\n{host}Cookie: id="\\222"; session=\xff\r\n\r\n',
        "long cookie": f"GET / HTTP/1.1\r\n{host}Cookie: session={'x' * 100_000}\r\n\r\n",
        "no host": "GET / HTTP/1.0\r\n\r\n",
        "another host": "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "whole address": f"GET http://evil.example/ HTTP/1.1\r\n{host}\r\n",
        "query": f"GET /sign-in?next=%ff HTTP/1.1\r\n{host}\r\n",
        "user agent": f"GET / HTTP/1.1\r\n{host}User-Agent: \xff\x1b[31m\r\n\r\n",
        "method": f"\xff / HTTP/1.1\r\n{host}\r\n",
        "no boundary": (
            f"POST /sign-in HTTP/1.1\r\n{host}Content-Type: multipart/form-data\r\n"
            "Content-Length: 3\r\n\r\nx=1"
        ),
        "charset": (
            f"POST /sign-in HTTP/1.1\r\n{host}Content-Length: 3\r\n"
            "Content-Type: application/x-www-form-urlencoded; charset=nonsense\r\n\r\nx=1"
        ),
        "two lengths": (
            f"POST /sign-in HTTP/1.1\r\n{host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nx=1"
        ),
        "smuggled": (
            f"POST /sign-in HTTP/1.1\r\n{host}Content-Length: 3\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
    }
    for kind, request in requests.items():
        answer = exchange(server, request.encode("latin-1"))
        status = answer.partition(b" ")[2][:3]
        assert status[:1] in {b"2", b"3", b"4"}, (kind, answer)
        assert b"evil.example" not in answer, kind
        assert b"find_packages" not in answer, kind
        assert b"Traceback" not in answer, kind

    huge = exchange(server, f"GET / HTTP/1.1\r\n{host}Cookie: {'x' * 300_000}\r\n\r\n".encode())
    assert huge.partition(b" ")[2][:3] in {b"431", b"400", b""}
    assert db.execute(text("SELECT count(*) FROM sessions")).scalar_one() == 0
    assert user(Client(), server) is None


def test_address_is_not_what_a_header_claims(server, db):
    headers = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=203.0.113.9;proto=https;host=evil.example",
    }

    client = Client()
    assert client.ask(server, "POST", "/sign-up", ADA, **headers)[0] == 201

    assert db.execute(text("SELECT address FROM sessions")).scalar_one() == "127.0.0.1"
    assert list(client.cookies) == ["session", "device"]
