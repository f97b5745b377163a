"""What the engine tells libpq, and what the URL says instead."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode

import psycopg2
import pytest
from sqlalchemy import URL, create_engine, make_url, text

from authapp.repositories.engine import make_engine, tell_retryable_errors
from authapp.settings import load_database_settings

DEFAULTS = {
    "application_name": "authapp",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
SAID = {"application_name": "reports", "connect_timeout": "9", "keepalives_idle": "77"}

MakeUrl = Callable[[Mapping[str, str]], str]


def single_host(server: URL, query: Mapping[str, str]) -> str:
    return server.update_query_dict(query).render_as_string(hide_password=False)


def several_hosts(server: URL, query: Mapping[str, str]) -> str:
    """The same host twice, which is all that the tests have; libpq takes the first that answers."""
    with closing(psycopg2.connect(dsn(server))) as connection:
        info: Any = connection.info
        host, port = quote(info.host, safe=""), info.port
    password = f":{quote(server.password, safe='')}" if server.password else ""
    authority = f"{server.username}{password}@{host}:{port},{host}:{port}"
    return f"postgresql://{authority}/{server.database}?{urlencode(query)}"


def dsn(server: URL) -> str:
    return server.set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture(params=[single_host, several_hosts], ids=["one host", "several hosts"])
def url(request, database_url) -> MakeUrl:
    return lambda query: request.param(make_url(database_url), query)


def told(url: str) -> Iterator[tuple[str, str]]:
    """What libpq was told, and what the server was told of it."""
    engine = make_engine(load_database_settings({"sqlalchemy.url": url}))
    with engine.connect() as connection:
        driver_connection: Any = connection.connection.driver_connection
        parameters = driver_connection.info.dsn_parameters
        yield from ((name, parameters[name]) for name in DEFAULTS)
        yield "on the server", connection.scalar(text("SHOW application_name"))
    engine.dispose()


def test_a_server_that_vanishes_is_noticed_soon(url):
    assert dict(told(url({}))) == DEFAULTS | {"on the server": "authapp"}


def test_what_the_url_says_comes_first(url):
    assert dict(told(url(SAID))) == DEFAULTS | SAID | {"on the server": "reports"}


def test_engine_that_takes_the_place_of_another_one_in_memory_tells_retryable_errors():
    places, dialects, taken = set(), [], 0
    while taken < 3:
        engine = create_engine("postgresql+psycopg2://nobody@nowhere/nothing")
        taken += id(engine) in places
        places.add(id(engine))
        tell_retryable_errors(engine)
        tell_retryable_errors(engine)
        assert len(engine.dialect.dispatch.handle_error) == 1
        # What an engine leaves behind, its dialect for example, may live on.
        dialects.append(engine.dialect)
        del engine
        gc.collect()
