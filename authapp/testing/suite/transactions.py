"""The session is part of the request's transaction: what becomes of one becomes of the other."""

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.csrf import get_csrf_token
from pyramid.httpexceptions import status_map
from pyramid.response import Response
from pyramid_retry import RetryableException

from authapp.testing.browser import Answer, Browser
from authapp.testing.suite.base import MakeApp, SuiteFixtures, Users
from authapp.testing.views import INCLUDE, Handled, Note

DEFAULT_VETO = "pyramid_tm.default_commit_veto"


class Unhandled(Exception):
    """An error that nothing has a view for."""


def _return(status: int) -> Response:
    return status_map[status]("/") if status == 302 else Response(status=status)


def _raise(status: int) -> Response:
    raise status_map[status]("/") if status == 302 else status_map[status]()


def _note(request: Any, text: str) -> None:
    request.dbsession.add(Note(text=text))


def _notes(request: Any) -> list[str]:
    return [note.text for note in request.dbsession.query(Note).order_by(Note.text)]


def _doom(request: Any) -> None:
    request.tm.doom()


def _fail_at_commit(request: Any) -> None:
    _note(request, "kept")


def _handled(request: Any) -> None:
    raise Handled


def _unhandled(request: Any) -> None:
    raise Unhandled


ENDINGS: dict[str, Callable[[Any], Any]] = {
    "a doomed transaction": _doom,
    "a commit that fails": _fail_at_commit,
    "an error": _unhandled,
    "an error with a view": _handled,
}


AFTER_THE_END: dict[str, Callable[[Any], Any]] = {
    "nothing more": lambda request: None,
    "a form": get_csrf_token,
    "a new session": lambda request: request.session.update(new=1),
}


class Transactions(SuiteFixtures):
    @pytest.fixture(params=["no veto", "default veto"])
    def either_browser(
        self, request: pytest.FixtureRequest, make_app: MakeApp, notes_table: None
    ) -> Browser:
        settings = {"tm.commit_veto": DEFAULT_VETO} if request.param == "default veto" else {}
        return Browser(make_app(INCLUDE, settings), self.base_url)

    @pytest.mark.parametrize("visitor", ["new", "known"])
    @pytest.mark.parametrize("status", [200, 302, 403, 500])
    @pytest.mark.parametrize("leave", [_return, _raise], ids=["return", "raise"])
    def test_the_session_goes_with_the_row(
        self,
        either_browser: Browser,
        leave: Callable[[int], Response],
        status: int,
        visitor: str,
    ) -> None:
        """Whether a response is returned or raised, whatever its status, with and without a
        commit veto: the change of the session is kept exactly if the application's own row is,
        and a cookie is set exactly if the row that it names has been committed."""
        browser = either_browser
        if visitor == "known":
            browser.run(lambda request: request.session.update(old=1, kept=False))

        def view(request: Any) -> Response:
            _note(request, "kept")
            request.session["kept"] = True
            return leave(status)

        answer = browser.answer(view)

        if leave is _return:
            assert answer.status == status
        if (leave, status) == (_return, 200):
            assert browser.run(_notes) == ["kept"]
        _assert_session_went_with_row(browser, answer, is_new=visitor == "new")

    @pytest.mark.parametrize("visitor", ["new", "known"])
    @pytest.mark.parametrize("ending", ENDINGS)
    def test_the_session_goes_with_the_row_when_it_ends_badly(
        self, either_browser: Browser, ending: str, visitor: str
    ) -> None:
        """The same for a doomed transaction, a commit that fails (by a deferred constraint), an
        error that nothing handles, and one that an exception view answers."""
        browser = either_browser
        if visitor == "known":
            browser.run(lambda request: request.session.update(old=1, kept=False))

        def view(request: Any) -> Any:
            _note(request, "kept")
            request.session["kept"] = True
            return ENDINGS[ending](request)

        answer = browser.answer(view)

        if ending == "a commit that fails":
            assert answer.status >= 500
            assert browser.run(_notes) == []
        _assert_session_went_with_row(browser, answer, is_new=visitor == "new")

    @pytest.mark.parametrize("then", AFTER_THE_END)
    @pytest.mark.parametrize("leave", [_return, _raise], ids=["return", "raise"])
    def test_an_end_goes_with_the_row(
        self, either_browser: Browser, leave: Callable[[int], Response], then: str
    ) -> None:
        """`invalidate()` in a request that is rolled back ends nothing, and the browser keeps its
        cookie, whatever was begun after it."""
        browser = either_browser
        browser.run(lambda request: request.session.update(old=1))

        def view(request: Any) -> Response:
            _note(request, "kept")
            request.session.invalidate()
            AFTER_THE_END[then](request)
            return leave(403)

        answer = browser.answer(view)

        if browser.run(_notes) == ["kept"]:
            assert "old" not in browser.run(lambda request: dict(request.session))
        else:
            assert list(answer.cookies) == []
            assert browser.run(lambda request: dict(request.session)) == {"old": 1}

    def test_a_redirect_that_is_raised_keeps_the_session_or_fails_loudly(
        self, either_browser: Browser
    ) -> None:
        """`raise HTTPFound(…)` after a change of the session either works, or is an error that
        says what was lost. Nobody is sent on as if all had been well."""
        browser = either_browser

        def view(request: Any) -> Response:
            request.session["signed in"] = True
            return _raise(302)

        answer = browser.answer(view)

        if answer.status < 500:
            assert browser.run(lambda request: dict(request.session)) == {"signed in": True}
        else:
            assert "session" in str(answer.error or "session")
            assert answer.cookies == ()

    def test_a_sign_in_goes_with_the_row(self, either_browser: Browser, users: Users) -> None:
        """A sign-in that is rolled back signs nobody in, and leaves the visitor's session as it
        was, under the same cookie."""
        browser = either_browser
        browser.run(lambda request: request.session.update(old=1))
        cookies = dict(browser.cookies)

        def view(request: Any) -> Response:
            users.sign_in(request, 0)
            request.session["new"] = 1
            return _raise(500)

        answer = browser.answer(view)

        assert list(answer.cookies) == []
        assert browser.cookies == cookies
        assert browser.run(users.current) is None
        assert browser.run(lambda request: dict(request.session)) == {"old": 1}

    # Requests that are run again.

    def test_a_request_that_is_run_again_starts_afresh(self, browser: Browser) -> None:
        """The second run of a request (pyramid_retry) sees nothing of what the first has set."""
        browser.run(lambda request: request.session.update(old=1))
        seen = []

        def view(request: Any) -> None:
            seen.append(dict(request.session))
            request.session[f"run {len(seen)}"] = True
            if len(seen) == 1:
                raise RetryableException

        answer = browser.answer(view)

        assert answer.status == 200
        assert seen == [{"old": 1}, {"old": 1}]
        left = browser.run(lambda request: dict(request.session))
        assert left == {"old": 1, "run 2": True}

    def test_a_request_that_is_run_again_sees_fresh_data(self, browser: Browser) -> None:
        """The second run sees what another request has written since the first."""
        browser.run(lambda request: request.session.update(counter=1))
        other, seen = browser.copy(), []

        def view(request: Any) -> None:
            seen.append(request.session["counter"])
            if len(seen) == 1:
                other.run(lambda request: request.session.update(counter=10))
                raise RetryableException
            request.session["counter"] += 1

        assert browser.answer(view).status == 200
        assert seen == [1, 10]
        assert browser.run(lambda request: request.session["counter"]) == 11

    def test_a_visitors_request_that_is_run_again(self, browser: Browser) -> None:
        """A session that is new in a request that is run again is stored once, with its cookie."""
        runs = []

        def view(request: Any) -> None:
            runs.append(dict(request.session))
            request.session["kept"] = len(runs)
            if len(runs) == 1:
                raise RetryableException

        answer = browser.answer(view)

        assert len(answer.cookies) == 1
        assert browser.run(lambda request: dict(request.session)) == {"kept": 2}


def _assert_session_went_with_row(browser: Browser, answer: Answer, *, is_new: bool) -> None:
    is_kept = browser.run(_notes) == ["kept"]
    old = {} if is_new else {"old": 1, "kept": False}
    expected = {**old, "kept": True} if is_kept else old
    assert browser.run(lambda request: dict(request.session)) == expected
    if is_new:
        assert [cookie.clears for cookie in answer.cookies] == ([False] if is_kept else [])
