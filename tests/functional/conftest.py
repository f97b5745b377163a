"""Applications with views of the tests' own, and a look at what goes over the wire."""

from collections.abc import Callable, Iterator
from typing import Any

import alembic.command
import alembic.config
import pytest
import webtest
from sqlalchemy import Connection, Engine, text

from authapp.repositories import ENGINE
from tests.conftest import make_app
from tests.functional import lab
from tests.functional.wire import Wire

HOST = {"HTTP_HOST": "localhost:6543"}


@pytest.fixture(scope="session")
def lab_tables(engine: Engine) -> Iterator[None]:
    lab.Base.metadata.create_all(engine)
    yield
    lab.Base.metadata.drop_all(engine)


@pytest.fixture(scope="session")
def make_lab(migrated_url: str, lab_tables: None) -> Iterator[Callable[..., Any]]:
    """Makes applications that include the lab, with the settings given, one for each set."""
    made: dict[frozenset[tuple[str, str]], Any] = {}

    def make(**settings: str) -> Any:
        key = frozenset(settings.items())
        if key not in made:
            made[key] = make_app(migrated_url, pyramid__includes=lab.INCLUDE, **settings)
        return made[key]

    yield make
    for wsgi_app in made.values():
        wsgi_app.registry[ENGINE].dispose()


@pytest.fixture
def lab_app(make_lab: Callable[..., Any], db: Connection) -> webtest.TestApp:
    """A browser before the application with the lab."""
    db.execute(text("DELETE FROM lab_notes"))
    return webtest.TestApp(make_lab(), extra_environ=HOST)


@pytest.fixture
def view() -> Iterator[Callable[[lab.View], str]]:
    """Turns a function into a view of the lab; gives its address."""

    def add(function: lab.View) -> str:
        name = f"{function.__name__}-{len(lab.VIEWS)}"
        lab.VIEWS[name] = function
        return f"/lab/{name}"

    yield add
    lab.VIEWS.clear()


@pytest.fixture(scope="session")
def wire(migrated_url: str) -> Iterator[Wire]:
    wire = Wire(migrated_url)
    yield wire
    wire.cut()


@pytest.fixture(scope="session")
def wired_wsgi_app(wire: Wire) -> Iterator[Any]:
    """The application, reaching its database over the wire."""
    app = make_app(wire.url)
    yield app
    app.registry[ENGINE].dispose()


@pytest.fixture
def wired_app(wired_wsgi_app: Any, db: Connection) -> webtest.TestApp:
    # Those of an earlier test may have been cut.
    wired_wsgi_app.registry[ENGINE].dispose()
    return webtest.TestApp(wired_wsgi_app, extra_environ=HOST)


@pytest.fixture(scope="session")
def migrate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Gives another database the tables."""

    def run(url: str) -> None:
        path = tmp_path_factory.mktemp("migrate") / "other.ini"
        path.write_text(
            "[app:main]\nuse = egg:authapp\n"
            f"sqlalchemy.url = {url.replace('%', '%%')}\n"
            "[alembic]\nscript_location = authapp:migrations\n"
        )
        alembic.command.upgrade(alembic.config.Config(str(path)), "head")

    return run
