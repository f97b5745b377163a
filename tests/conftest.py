"""A real PostgreSQL for the tests: the embedded one, thrown away at the end, or a server's."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import webtest
from sqlalchemy import Connection, Engine, create_engine, delete, make_url, text

import authapp
from authapp.repositories import ENGINE, embedded
from authapp.repositories.engine import make_engine
from authapp.repositories.schema import EventRow, LetterRow, SessionRow, ThrottleRow, UserRow
from authapp.settings import load_database_settings

SITE = "http://localhost:6543"


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a database on a server on which databases can be made."""
    named = os.environ.get("AUTHAPP_TEST_DATABASE_URL")
    if named:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="authapp-test-", ignore_cleanup_errors=True) as folder:
        yield f"embedded:{folder}/postgresql"
        # pytest-xdist ends its workers without a normal exit.
        embedded.leave(Path(folder) / "postgresql")


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """The URL of an empty database of the tests' own."""
    settings = load_database_settings({"sqlalchemy.url": server_url})
    server = make_engine(settings).execution_options(isolation_level="AUTOCOMMIT")
    name = f"authapp_test_{secrets.token_hex(4)}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def ini(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ini file for what is started by one: Alembic, pserve."""
    path = tmp_path_factory.mktemp("ini") / "test.ini"
    settings = app_settings(database_url, site__url="http://localhost:${http_port:-6543}")
    # A percent sign has a meaning in ini files; in URLs it is common.
    lines = [f"{key} = {value.replace('%', '%%')}" for key, value in settings.items()]
    path.write_text(
        "\n".join(
            [
                "[app:main]",
                "use = egg:authapp",
                *lines,
                "[server:main]",
                "use = egg:authapp#waitress",
                "listen = 127.0.0.1:${http_port}",
                "[alembic]",
                "script_location = authapp:migrations",
            ]
        )
    )
    return path


@pytest.fixture(scope="session")
def migrated_url(database_url: str, ini: Path) -> str:
    """The same database, with the tables in it."""
    alembic.command.upgrade(alembic.config.Config(str(ini)), "head")
    return database_url


@pytest.fixture(scope="session")
def engine(migrated_url: str) -> Iterator[Engine]:
    """For looking at the tables past the application."""
    engine = create_engine(make_url(migrated_url))
    yield engine
    engine.dispose()


@pytest.fixture
def db(engine: Engine) -> Iterator[Connection]:
    """An autocommit connection to emptied tables."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        empty(connection)
        yield connection


def empty(connection: Connection) -> None:
    # Much faster than TRUNCATE, which makes new files. What belongs to users goes with them.
    for row in (UserRow, SessionRow, LetterRow, EventRow, ThrottleRow):
        connection.execute(delete(row))


def app_settings(url: str, **changed: str) -> dict[str, str]:
    """Settings of an application under test; keyword arguments replace dots by two underscores."""
    settings = {
        "authapp.development": "true",
        "sqlalchemy.url": url,
        "session.secret": "not secret: the tests know it anyway",
        "site.url": SITE,
        "password.bcrypt_rounds": "4",
        "mail.url": "console:",
        "mail.sender": "Accounts <accounts@localhost>",
        # Tests deliver by themselves: tests/mailing.py.
        "mail.background": "false",
    }
    return settings | {key.replace("__", "."): value for key, value in changed.items()}


def make_app(url: str, **changed: str) -> Any:
    return authapp.main({}, **app_settings(url, **changed))


@pytest.fixture(scope="session")
def wsgi_app(migrated_url: str) -> Iterator[Any]:
    """The real application, with the real pyramid_tm."""
    app = make_app(migrated_url)
    yield app
    app.registry[ENGINE].dispose()


@pytest.fixture
def app(wsgi_app: Any, db: Connection) -> webtest.TestApp:
    """A browser of its own, without cookies, before an application without users."""
    return webtest.TestApp(wsgi_app, extra_environ={"HTTP_HOST": "localhost:6543"})
