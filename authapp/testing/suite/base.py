"""What the parts of the suite share: the fixtures, of which a store gives one, or some more."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol

import pytest
from pyramid.interfaces import IRequest

from authapp.testing.browser import Browser
from authapp.testing.views import INCLUDE, change_notes_table

MakeApp = Callable[[str, Mapping[str, str]], Any]


class Users(Protocol):
    """Two users whom the store can sign in; they are numbered 0 and 1."""

    def sign_in(self, request: IRequest, number: int) -> None: ...

    def current(self, request: IRequest) -> int | None:
        """Who is signed in."""
        ...


class SuiteFixtures:
    # How many requests run at once. The application must be able to serve them all, and a store
    # that holds a connection for the whole of a request needs so many of them.
    parallel: ClassVar[int] = 30
    base_url: ClassVar[str] = "http://localhost"

    @pytest.fixture
    def make_app(self) -> MakeApp:
        """`make_app(include, settings)`: a WSGI application with the session factory under test.

        It has pyramid_tm, pyramid_retry and a `request.dbsession` of PostgreSQL's, includes what
        `include` names (`config.include(include)`), and has the settings, such as
        `tm.commit_veto`. It is asked for in each test: keep the applications that it made.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `make_app`")

    @pytest.fixture
    def rotate(self) -> Callable[[IRequest], None]:
        """Optional: replaces the session's token and keeps its data."""
        pytest.skip("without a fixture `rotate`: the store cannot replace a session's token")

    @pytest.fixture
    def users(self) -> Users:
        """Optional: what signs users in."""
        pytest.skip("without a fixture `users`: the store knows nothing of users")

    @pytest.fixture
    def session_id(self) -> Callable[[IRequest], Any]:
        """Optional: a session's public id, which stays the same when its token is replaced."""
        pytest.skip("without a fixture `session_id`: the store's sessions have no stable id")

    @pytest.fixture
    def count_sessions(self) -> Callable[[], int]:
        """Optional: how many sessions the store holds."""
        pytest.skip("without a fixture `count_sessions`: the store has no rows to count")

    @pytest.fixture
    def count_statements(self) -> Callable[[], AbstractContextManager[list[str]]]:
        """Optional: a context manager that gives the list of the statements that the application
        made by `make_app(…, {})` sends meanwhile, `BEGIN` and `COMMIT` among them."""
        pytest.skip("without a fixture `count_statements`: the store does not speak SQL")

    @pytest.fixture
    def browser(self, make_app: MakeApp) -> Browser:
        return Browser(make_app(INCLUDE, {}), self.base_url)

    @pytest.fixture
    def notes_table(self, browser: Browser) -> Iterator[None]:
        """The application's own table. That it can be dropped shows that no transaction is open."""
        browser.fresh().run(lambda request: change_notes_table(request, "create"))
        yield
        browser.fresh().run(lambda request: change_notes_table(request, "drop"))
