"""What waitress answers by itself, to bytes on a socket, past the application or instead of it."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest

from authapp.repositories import ENGINE
from authapp.security.headers import HEADERS
from tests.conftest import make_app
from tests.integration.test_proxies import serving

HOST = "Host: localhost\r\n"
CLOSE = "Connection: close\r\n"
# As a proxy that is trusted adds them.
HTTPS = "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n"
TOO_LARGE = 4194304


def failing(environ: dict[str, Any], start_response: Any) -> Any:
    raise RuntimeError("the innards of the application")


def plain(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"as it is"]


@pytest.fixture(scope="module")
def wsgi_app(migrated_url: str) -> Iterator[Any]:
    # As in production: the site is asked for by https, from the proxy.
    app = make_app(migrated_url, site__url="https://localhost")
    yield app
    app.registry[ENGINE].dispose()


@pytest.fixture(scope="module")
def port(wsgi_app: Any) -> Iterator[int]:
    with serving(wsgi_app) as port:
        yield port


def exchange(port: int, request: str) -> tuple[int, Message, bytes]:
    """The status, the headers and the body of the answer, the last one if there are several."""
    answer = b""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    # Of a request that is much too long the server does not read the rest.
    with connection, suppress(ConnectionError):
        connection.sendall(request.encode("latin-1"))
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    if head == b"HTTP/1.1 100 Continue":
        head, _, body = body.partition(b"\r\n\r\n")
    line, _, headers = head.partition(b"\r\n")
    return int(line.split()[1]), message_from_bytes(headers), body


# Whatever cannot be read to its end ends the connection.
REFUSED = {
    "garbled line": (400, f"nonsense\r\n{HOST}", ""),
    "garbled method": (400, f"get / HTTP/1.1\r\n{HOST}", ""),
    "garbled header": (400, f"GET / HTTP/1.1\r\n{HTTPS}{HOST}No colon\r\n", ""),
    "garbled length": (400, f"POST / HTTP/1.1\r\n{HTTPS}{HOST}Content-Length: x\r\n", ""),
    "garbled chunk": (
        400,
        f"POST / HTTP/1.1\r\n{HTTPS}{HOST}Transfer-Encoding: chunked\r\n",
        "nonsense\r\n\r\n",
    ),
    "body too large": (413, f"POST / HTTP/1.1\r\n{HTTPS}{HOST}Content-Length: {TOO_LARGE}\r\n", ""),
    "no such coding": (501, f"POST / HTTP/1.1\r\n{HTTPS}{HOST}Transfer-Encoding: br\r\n", ""),
    "header too large": (431, f"GET / HTTP/1.1\r\n{HOST}X: {'x' * 262144}\r\n", ""),
    "address too long": (431, f"GET /{'x' * 262144} HTTP/1.1\r\n{HOST}", ""),
    "malformed scheme": (
        400,
        f"GET / HTTP/1.1\r\n{HOST}X-Forwarded-Proto: gopher\r\n{CLOSE}",
        "",
    ),
    "malformed address": (
        400,
        f'GET / HTTP/1.1\r\n{HOST}{CLOSE}X-Forwarded-Proto: https\r\nX-Forwarded-For: "\r\n',
        "",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refusals_have_the_security_headers(port, kind):
    status, head, body = REFUSED[kind]

    answer, headers, text = exchange(port, f"{head}\r\n{body}")

    assert answer == status
    assert headers.get_all("Cache-Control") == ["no-store"]
    assert headers["Server"] is None
    assert headers.get_content_type() == "text/plain"
    for name, value in HEADERS.items():
        assert headers.get_all(name) == [value], name
    # Where the proxy's word could be read.
    is_https = "X-Forwarded-Proto: https" in head and kind != "header too large"
    assert ("Strict-Transport-Security" in headers) is is_https
    for word in (b"Traceback", b"waitress", b"python"):
        assert word not in text.lower()


@pytest.mark.parametrize("kind", ["garbled length", "body too large"])
def test_a_stranger_is_not_believed_to_have_come_by_https(wsgi_app, kind):
    status, head, _ = REFUSED[kind]

    with serving(wsgi_app, TRUSTED_PROXY="198.51.100.1") as port:
        answer, headers, _ = exchange(port, f"{head}\r\n")

    assert answer == status
    assert "Strict-Transport-Security" not in headers


def test_application_that_fails_is_answered_for_with_the_headers(caplog):
    caplog.clear()
    with serving(failing) as port:
        status, headers, body = exchange(port, f"GET / HTTP/1.1\r\n{HTTPS}{HOST}\r\n")

    assert status == 500
    for name, value in HEADERS.items():
        assert headers.get_all(name) == [value], name
    assert "Strict-Transport-Security" in headers
    assert headers["Cache-Control"] == "no-store"
    assert b"innards" not in body


def test_what_an_application_answers_is_left_as_it_is():
    """It may be one that includes the sessions alone, with a policy of its own, or none."""
    with serving(plain) as port:
        request = f"GET / HTTP/1.1\r\n{HOST}{CLOSE}\r\n"
        status, headers, body = exchange(port, request)

    assert (status, body) == (200, b"as it is")
    assert set(headers) == {"Connection", "Content-Length", "Content-Type", "Date"}


@pytest.mark.parametrize("path", ["/", "/nowhere", "/account", "/static/authapp/site.css", "/x%ff"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "TRACE"])
def test_what_the_application_answers_behind_a_proxy_has_each_header_once(port, db, method, path):
    request = f"{method} {path} HTTP/1.1\r\n{HOST}{HTTPS}{CLOSE}\r\n"
    _, headers, body = exchange(port, request)

    for name, value in HEADERS.items():
        assert headers.get_all(name) == [value], name
    assert len(headers.get_all("Strict-Transport-Security", [])) == 1
    assert headers["Server"] is None
    assert method != "HEAD" or body == b""


def test_body_that_is_waited_for_is_still_asked_for(port, db):
    head = f"POST /sign-in HTTP/1.1\r\n{HOST}{HTTPS}{CLOSE}Content-Length: 2\r\n"
    json = "Content-Type: application/json\r\nExpect: 100-continue\r\n"

    status, headers, _ = exchange(port, f"{head}{json}\r\n{{}}")

    assert (status, headers.get_content_type()) == (400, "application/json")
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]


def test_all_listeners_have_the_headers(wsgi_app, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        other = free.getsockname()[1]
    with serving(plain, LISTEN=f"127.0.0.1:0 127.0.0.1:{other}"):
        status, headers, _ = exchange(other, "nonsense\r\n\r\n")

    assert status == 400
    assert headers["X-Content-Type-Options"] == "nosniff"
