"""What a session costs: rows, statements, and cookies where none is needed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from pyramid.csrf import get_csrf_token

from authapp.testing.browser import Browser
from authapp.testing.suite.base import SuiteFixtures

CountStatements = Callable[[], AbstractContextManager[list[str]]]


def _nothing(request: Any) -> None:
    pass


def _read(request: Any) -> dict[str, Any]:
    return dict(request.session)


def _set_number(number: int, request: Any) -> None:
    request.session["number"] = number


def _set_and_delete(request: Any) -> None:
    request.session["key"] = 1
    del request.session["key"]


def _invalidate(request: Any) -> None:
    request.session.invalidate()


def _pop_flash(request: Any) -> None:
    request.session.pop_flash()
    request.session.get("key")


KEEPS_NOTHING: dict[str, Callable[[Any], Any]] = {
    "a page without a session": _nothing,
    "reading": _read,
    "popping messages": _pop_flash,
    "setting and deleting": _set_and_delete,
    "invalidating": _invalidate,
}


def _set_several(request: Any) -> None:
    session = request.session
    session["a"], session["b"], session["c"] = 10, 20, 30
    session["list"].append(2)
    session.flash("message")
    del session["gone"]


class Costs(SuiteFixtures):
    @pytest.mark.parametrize("visit", KEEPS_NOTHING)
    def test_who_has_nothing_to_keep_gets_no_cookie(self, browser: Browser, visit: str) -> None:
        """A visitor for whom nothing is kept is sent no cookie."""
        assert list(browser.answer(KEEPS_NOTHING[visit]).cookies) == []

    @pytest.mark.parametrize("visit", KEEPS_NOTHING)
    def test_who_has_nothing_to_keep_gets_no_row(
        self, browser: Browser, count_sessions: Callable[[], int], visit: str
    ) -> None:
        """A visitor for whom nothing is kept takes no room in the store, however often."""
        before = count_sessions()

        for _ in range(10):
            browser.run(KEEPS_NOTHING[visit])

        assert count_sessions() == before

    def test_a_form_needs_no_row(self, browser: Browser, count_sessions: Callable[[], int]) -> None:
        """The CSRF token of a visitor's form takes no room in the store."""
        before = count_sessions()

        for _ in range(10):
            browser.fresh().run(get_csrf_token)
            browser.run(get_csrf_token)

        assert count_sessions() == before

    def test_forged_cookies_leave_no_row(
        self, browser: Browser, count_sessions: Callable[[], int]
    ) -> None:
        """Reading the session behind a forged cookie stores nothing."""
        browser.run(lambda request: request.session.update(a=1))
        [(name, value)] = browser.cookies.items()
        before = count_sessions()

        for forgery in (value[::-1], value[:-1], "", "x", value.swapcase()):
            forged = browser.fresh()
            forged.cookies = {name: forgery}
            forged.run(_read)

        assert count_sessions() == before

    def test_each_session_is_one_row(
        self, browser: Browser, count_sessions: Callable[[], int]
    ) -> None:
        """A session is stored once, however often it is written, and not at all once it ended."""
        before = count_sessions()
        for number in range(5):
            browser.run(partial(_set_number, number))
        assert count_sessions() == before + 1

        browser.run(_invalidate)

        assert count_sessions() == before

    def test_reading_sends_no_cookie(self, browser: Browser) -> None:
        """A page that changes nothing sends no cookie again."""
        browser.run(lambda request: request.session.update(a=1))

        assert list(browser.answer(_read).cookies) == []

    # Statements.

    @pytest.mark.parametrize("visit", KEEPS_NOTHING)
    def test_a_visitor_costs_no_statement(
        self, browser: Browser, count_statements: CountStatements, visit: str
    ) -> None:
        """Without a cookie there is nothing to ask the database for."""
        browser.run(KEEPS_NOTHING[visit])

        with count_statements() as statements:
            browser.run(KEEPS_NOTHING[visit])

        assert statements == []

    def test_a_forged_cookie_costs_no_statement(
        self, browser: Browser, count_statements: CountStatements
    ) -> None:
        """A cookie whose signature fails never reaches the database."""
        browser.run(lambda request: request.session.update(a=1))
        [(name, value)] = browser.cookies.items()

        with count_statements() as statements:
            for forgery in (value[::-1], value[:-1], "", "x", value.swapcase()):
                forged = browser.fresh()
                forged.cookies = {name: forgery}
                forged.run(_read)

        assert statements == []

    def test_a_form_costs_no_statement(
        self, browser: Browser, count_statements: CountStatements
    ) -> None:
        """Nor does the CSRF token of a visitor's form."""
        with count_statements() as statements:
            browser.run(get_csrf_token)
            browser.run(get_csrf_token)

        assert statements == []

    def test_a_page_that_ignores_the_session_costs_no_statement(
        self, browser: Browser, count_statements: CountStatements
    ) -> None:
        """A session that no view asks for is not loaded."""
        browser.run(lambda request: request.session.update(a=1))

        with count_statements() as statements:
            browser.run(_nothing)

        assert statements == []

    def test_reading_costs_one_statement(
        self, browser: Browser, count_statements: CountStatements
    ) -> None:
        """A page that reads the session and changes nothing costs one SELECT, no transaction."""
        browser.run(lambda request: request.session.update(a=1))

        with count_statements() as statements:
            browser.run(lambda r: (dict(r.session), r.session["a"], r.session.peek_flash()))

        assert [statement.split()[0] for statement in statements] == ["SELECT"]

    def test_many_changes_cost_one_update(
        self, browser: Browser, count_statements: CountStatements
    ) -> None:
        """However many keys a request changes: one SELECT and, in a transaction, one UPDATE."""
        start = {"a": 1, "b": 2, "gone": 3, "list": [1]}
        browser.run(lambda request: request.session.update(start))

        with count_statements() as statements:
            browser.run(_set_several)

        kinds = [statement.split()[0] for statement in statements]
        assert kinds == ["SELECT", "BEGIN", "UPDATE", "COMMIT"]

    def test_changes_that_change_nothing_cost_no_update(
        self, browser: Browser, count_statements: CountStatements
    ) -> None:
        """Setting a key to the value that it has writes nothing."""
        browser.run(lambda request: request.session.update(a=1, b=[{"c": 2}]))

        with count_statements() as statements:
            browser.run(lambda request: request.session.update(a=1, b=[{"c": 2}]))

        assert [statement.split()[0] for statement in statements] == ["SELECT"]
