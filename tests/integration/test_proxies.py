"""Whose address counts behind a proxy, with a real waitress set up as production.ini does it."""

import http.client
import json
import logging
import threading
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from waitress import wasyncore
from waitress.server import MultiSocketServer

from authapp.domain.throttle import Limits, Rate
from authapp.repositories import ENGINE
from authapp.server import make_server
from authapp.settings import expand, read_rate
from tests.conftest import make_app

PRODUCTION_INI = Path(__file__).parents[2] / "production.ini"
BEHIND = {"LISTEN": "127.0.0.1:0", "TRUSTED_PROXY": "127.0.0.1"}
PROXY = "127.0.0.1"


@pytest.fixture(scope="module")
def wsgi_app(migrated_url: str) -> Iterator[Any]:
    app = make_app(migrated_url, throttle__address="3/15m")
    yield app
    app.registry[ENGINE].dispose()


@contextmanager
def serving(app: Any, **environ: str) -> Iterator[int]:
    """Serves by `[server:main]` of production.ini, and gives the port."""
    parser = ConfigParser(interpolation=None)
    parser.read(PRODUCTION_INI, "utf-8")
    options = expand(parser["server:main"], {**BEHIND, **environ})
    del options["use"]
    server = make_server(app, **options)
    sockets = server.map if isinstance(server, MultiSocketServer) else server._map
    ended = threading.Event()

    def run() -> None:
        # `server.run`, which cannot be ended from another thread.
        while not ended.is_set():
            wasyncore.loop(timeout=0.05, map=sockets, count=1)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield getattr(server, "effective_port", 0)  # There is none of several listeners.
    finally:
        ended.set()
        thread.join()
        server.task_dispatcher.shutdown()
        wasyncore.close_all(sockets)


def attempt(port: int, number: int = 0, **headers: str) -> int:
    """Signs in with a wrong password, at another account each time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = json.dumps({"email": f"user{number}@example.com", "password": "wrong password"})
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(
        "POST",
        "/sign-in",
        body,
        {"Host": "localhost", "Connection": "close", "Content-Type": "application/json", **sent},
    )
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def counted(db: Connection, address: str) -> int | None:
    rate = Rate(1, read_rate("1/1s").period)
    key = Limits(rate, rate).from_address("sign_in", address).key
    statement = text("SELECT count FROM throttles WHERE key = :key")
    count: int | None = db.execute(statement, {"key": key}).scalar_one_or_none()
    return count


def addresses(db: Connection) -> list[str]:
    statement = text("SELECT address FROM security_events ORDER BY id")
    return list(db.execute(statement).scalars())


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)


def test_behind_the_trusted_proxy_the_client_s_address_counts(wsgi_app, db):
    with serving(wsgi_app) as port:
        statuses = [attempt(port, n, X_Forwarded_For="198.51.100.7") for n in range(4)]
        other = attempt(port, 9, X_Forwarded_For="198.51.100.8")

    assert statuses == [401, 401, 401, 429]
    assert other == 401
    assert counted(db, "198.51.100.7") == 4
    assert counted(db, PROXY) is None
    assert addresses(db) == ["198.51.100.7"] * 4 + ["198.51.100.8"]


def test_what_the_client_has_written_itself_is_not_believed(wsgi_app, db):
    """The proxy appends the address that it sees; whatever stands before it is the client's."""
    with serving(wsgi_app) as port:
        statuses = [
            attempt(port, n, X_Forwarded_For=f"203.0.113.{n}, 198.51.100.7") for n in range(4)
        ]

    assert statuses == [401, 401, 401, 429]
    assert set(addresses(db)) == {"198.51.100.7"}


def test_a_stranger_who_is_no_proxy_is_not_believed_at_all(wsgi_app, db):
    with serving(wsgi_app, TRUSTED_PROXY="198.51.100.1") as port:
        statuses = [
            attempt(port, n, X_Forwarded_For=f"203.0.113.{n}", Forwarded=f"for=203.0.113.{n}")
            for n in range(4)
        ]

    assert statuses == [401, 401, 401, 429]
    assert set(addresses(db)) == {PROXY}


def test_behind_a_chain_of_proxies_it_is_the_one_that_the_outermost_saw(wsgi_app, db):
    with serving(wsgi_app, TRUSTED_PROXY_COUNT="2") as port:
        statuses = [
            attempt(port, n, X_Forwarded_For=f"203.0.113.{n}, 198.51.100.7, 10.0.0.1")
            for n in range(4)
        ]

    assert statuses == [401, 401, 401, 429]
    assert set(addresses(db)) == {"198.51.100.7"}


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "[2001:db8::7]:443"),
        ("198.51.100.7:4711", "198.51.100.7"),
    ],
)
def test_however_proxies_write_an_address_it_counts_as_the_same(wsgi_app, db, header, address):
    with serving(wsgi_app) as port:
        attempt(port, X_Forwarded_For=header)

    assert addresses(db) == [address]
    assert counted(db, "198.51.100.7" if "." in header else "2001:db8::7") == 1


def test_without_a_header_it_is_the_proxy_s_own(wsgi_app, db):
    with serving(wsgi_app) as port:
        attempt(port)

    assert addresses(db) == [PROXY]
