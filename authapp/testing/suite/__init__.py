"""The suites that every session factory has to stand."""

import pytest

# Else an assertion that fails would not say what it compared.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{part}"
        for part in ("conformance", "costs", "crash", "races", "tokens", "transactions")
    )
)

from authapp.testing.suite.conformance import Conformance  # noqa: E402
from authapp.testing.suite.costs import Costs  # noqa: E402
from authapp.testing.suite.crash import SessionCrashSuite  # noqa: E402
from authapp.testing.suite.races import Races  # noqa: E402
from authapp.testing.suite.tokens import Tokens  # noqa: E402
from authapp.testing.suite.transactions import Transactions  # noqa: E402

__all__ = ["SessionCrashSuite", "SessionStoreSuite"]


class SessionStoreSuite(Conformance, Races, Transactions, Tokens, Costs):
    """Runs any Pyramid session factory through its paces, on a real database.

    Subclass it in a test module of yours, under a name that pytest collects, and give it the
    fixture `make_app`; the optional ones are for what not every store can do. Each test's
    docstring says what it is that the store promises::

        class TestMySessions(SessionStoreSuite):
            @pytest.fixture
            def make_app(self):
                return my_application  # my_application(include, settings)

    The application has to be able to serve `parallel` requests at once. A store that makes
    parallel requests of a session wait for each other as soon as they load it cannot be run
    through the races, where all of them have loaded it before any goes on.
    """
