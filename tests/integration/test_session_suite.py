"""The public suite, on authapp's session factory: in the whole application, and included alone."""

import pytest
from sqlalchemy import text

from authapp.testing import SessionStoreSuite
from authapp.testing.views import INCLUDE
from tests.integration.session_apps import AloneApps, FullApps, StoredUsers, statement_counter


class OurSessions(SessionStoreSuite):
    """What our sessions can do beyond ISession."""

    @pytest.fixture
    def make_app(self, apps):
        return apps.make

    @pytest.fixture
    def rotate(self):
        return lambda request: request.session.rotate()

    @pytest.fixture
    def session_id(self):
        return lambda request: request.session.id

    @pytest.fixture
    def users(self, apps):
        return StoredUsers(apps.add_users())

    @pytest.fixture
    def count_sessions(self, apps):
        def count():
            with apps.engine.connect() as connection:
                return connection.scalar(text("SELECT count(*) FROM sessions"))

        return count

    @pytest.fixture
    def count_statements(self, apps):
        return statement_counter(apps.engine_of(INCLUDE))


@pytest.fixture(scope="module")
def full_apps(migrated_url, engine):
    apps = FullApps(migrated_url, engine)
    yield apps
    apps.dispose()


@pytest.fixture(scope="module")
def alone_apps(database_url):
    apps = AloneApps(database_url)
    yield apps
    apps.dispose()


class TestFull(OurSessions):
    @pytest.fixture(autouse=True)
    def apps(self, full_apps, db):
        return full_apps


class TestAlone(OurSessions):
    @pytest.fixture(autouse=True)
    def apps(self, alone_apps):
        alone_apps.empty()
        return alone_apps
