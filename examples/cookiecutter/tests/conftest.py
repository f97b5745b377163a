"""The fixtures of a cookiecutter application, and those that let sessions take part in tests."""

from pathlib import Path

import alembic.command
import alembic.config
import bcrypt
import pytest
import transaction
import webtest
from pyramid.paster import get_appsettings
from pyramid.scripting import prepare
from pyramid.testing import DummyRequest
from sqlalchemy.orm import Session

from shop import main, models
from shop.models.meta import Base


def pytest_addoption(parser):
    parser.addoption("--ini", action="store", metavar="INI_FILE", default="testing.ini")


@pytest.fixture(scope="session")
def ini_file(request):
    return str(Path(request.config.getoption("--ini")).resolve())


@pytest.fixture(scope="session")
def app_settings(ini_file):
    return get_appsettings(ini_file)


@pytest.fixture(scope="session")
def dbengine(app_settings, ini_file):
    engine = models.get_engine(app_settings)
    config = alembic.config.Config(ini_file)
    Base.metadata.drop_all(bind=engine)
    alembic.command.stamp(config, None, purge=True)
    alembic.command.upgrade(config, "head")

    yield engine

    Base.metadata.drop_all(bind=engine)
    alembic.command.stamp(config, None, purge=True)
    engine.dispose()


@pytest.fixture(scope="session")
def app(app_settings, dbengine):
    return main({}, dbengine=dbengine, **app_settings)


# With sessions: the application commits in earnest, inside of a transaction that is rolled back.


@pytest.fixture
def connection(app, dbengine):
    """The one connection of the test and of all its requests; nothing of it is ever committed.

    What a request commits or rolls back is a savepoint on this connection.
    """
    session_factory = app.registry["dbsession_factory"]
    with dbengine.connect() as connection, connection.begin() as outer:
        session_factory.configure(bind=connection, join_transaction_mode="create_savepoint")
        yield connection
        session_factory.configure(bind=dbengine, join_transaction_mode="conditional_savepoint")
        outer.rollback()


@pytest.fixture
def testapp(app, connection):
    """A browser before the application as it is, with the real pyramid_tm."""
    return webtest.TestApp(app, extra_environ={"HTTP_HOST": "example.com"})


def new_user():
    """With a hash that is as good as any other here, and a hundred times faster."""
    cheap = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(rounds=4))
    return models.User(name="ada", password_hash=cheap.decode())


@pytest.fixture
def user(connection):
    """A user who is in the database."""
    user = new_user()
    with Session(connection, join_transaction_mode="create_savepoint") as dbsession:
        dbsession.add(user)
        dbsession.commit()
        dbsession.refresh(user)
        dbsession.expunge(user)
    return user


# As the cookiecutter makes them: one transaction, doomed from the start, for all requests.


@pytest.fixture
def tm():
    tm = transaction.TransactionManager(explicit=True)
    tm.begin()
    tm.doom()

    yield tm

    tm.abort()


@pytest.fixture
def dbsession(app, tm):
    return models.get_tm_session(app.registry["dbsession_factory"], tm)


@pytest.fixture
def doomed_user(dbsession):
    """A user in that transaction."""
    user = new_user()
    dbsession.add(user)
    dbsession.flush()
    return user


@pytest.fixture
def doomed_testapp(app, tm, dbsession):
    """Called `testapp` in the cookiecutter. No request commits, so no session is ever written."""
    environ = {
        "HTTP_HOST": "example.com",
        "tm.active": True,
        "tm.manager": tm,
        "app.dbsession": dbsession,
    }
    return webtest.TestApp(app, extra_environ=environ)


@pytest.fixture
def app_request(app, tm, dbsession):
    """A real request, for calling views as functions."""
    with prepare(registry=app.registry) as env:
        request = env["request"]
        request.host = "example.com"
        request.dbsession = dbsession
        request.tm = tm
        # The one line that sessions need: it says that the transaction has begun.
        request.environ["tm.active"] = True
        yield request


@pytest.fixture
def dummy_request(tm, dbsession):
    """A request that is next to nothing; its session is Pyramid's own dictionary."""
    request = DummyRequest()
    request.host = "example.com"
    request.dbsession = dbsession
    request.tm = tm
    return request
