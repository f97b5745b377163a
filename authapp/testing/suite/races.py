"""Requests of one session that run at the same time, on threads and connections of their own.

None of these tests sleeps. The requests meet at a barrier when all of them have read the session
and none has written it, which is the worst moment there is.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyramid.csrf import get_csrf_token

from authapp.testing.browser import Browser, Meeting, Pause, View, statuses
from authapp.testing.suite.base import SuiteFixtures, Users
from authapp.testing.views import Note


def _set_key(request: Any) -> None:
    request.session["late"] = 1


def _delete_key(request: Any) -> None:
    del request.session["start"]


def _change_in_place(request: Any) -> None:
    request.session["start"].append("late")


def _flash(request: Any) -> None:
    request.session.flash("late")


LATE_WRITES: dict[str, Callable[[Any], None]] = {
    "set": _set_key,
    "delete": _delete_key,
    "change in place": _change_in_place,
    "flash": _flash,
}


class Races(SuiteFixtures):
    def _set_a_key_each(self, browser: Browser) -> dict[str, int]:
        """Sends parallel requests that have read the session before any of them writes; returns
        what all of them have put there."""
        keys = {f"key {number}": number for number in range(self.parallel)}
        meet = Meeting(self.parallel)

        def set_key(key: str) -> View:
            def view(request: Any) -> None:
                dict(request.session)
                meet(request)
                request.session[key] = keys[key]

            return view

        answers = browser.at_once([set_key(key) for key in keys])

        assert statuses(answers) == {200: self.parallel}
        return keys

    def test_different_keys_merge(self, browser: Browser) -> None:
        """Parallel requests that each set a key of their own: all keys are there."""
        browser.run(lambda request: request.session.update(start=0))
        expected = self._set_a_key_each(browser)

        assert browser.run(lambda request: dict(request.session)) == {"start": 0, **expected}

    def test_deleted_and_set_keys_merge(self, browser: Browser) -> None:
        """Half of the requests delete a key each, the others set one each: all of it happens."""
        half = self.parallel // 2
        old = {f"old {number}": number for number in range(half)}
        browser.run(lambda request: request.session.update(old))
        meet = Meeting(2 * half)

        def set_key(number: int) -> View:
            def view(request: Any) -> None:
                dict(request.session)
                meet(request)
                request.session[f"new {number}"] = number

            return view

        def delete_key(number: int) -> View:
            def view(request: Any) -> None:
                dict(request.session)
                meet(request)
                del request.session[f"old {number}"]

            return view

        numbers = range(half)
        answers = browser.at_once([*map(set_key, numbers), *map(delete_key, numbers)])

        assert statuses(answers) == {200: 2 * half}
        expected = {f"new {number}": number for number in numbers}
        assert browser.run(lambda request: dict(request.session)) == expected

    def test_no_increment_is_lost(self, browser: Browser) -> None:
        """Parallel requests that each add one to the same counter: it says how many they were,
        and all of them are answered 200."""
        browser.run(lambda request: request.session.update(counter=0))
        meet = Meeting(self.parallel)

        def increment(request: Any) -> None:
            counter = request.session["counter"]
            meet(request)
            request.session["counter"] = counter + 1

        answers = browser.at_once([increment] * self.parallel)

        assert statuses(answers) == {200: self.parallel}
        assert browser.run(lambda request: request.session["counter"]) == self.parallel

    def test_no_change_in_place_is_lost(self, browser: Browser) -> None:
        """Parallel requests that each append to the same list: it has what each of them gave."""
        browser.run(lambda request: request.session.update(basket=[]))
        meet = Meeting(self.parallel)

        def append(number: int) -> View:
            def view(request: Any) -> None:
                basket = request.session["basket"]
                meet(request)
                basket.append(number)
                request.session.changed()

            return view

        answers = browser.at_once([append(number) for number in range(self.parallel)])

        assert statuses(answers) == {200: self.parallel}
        basket = browser.run(lambda request: request.session["basket"])
        assert sorted(basket) == list(range(self.parallel))

    def test_no_flash_message_is_lost(self, browser: Browser) -> None:
        """Parallel requests that each flash a message: all of them are shown, each once."""
        browser.run(lambda request: request.session.update(start=0))
        meet = Meeting(self.parallel)

        def flash(number: int) -> View:
            def view(request: Any) -> None:
                request.session.peek_flash()
                meet(request)
                request.session.flash(number)

            return view

        answers = browser.at_once([flash(number) for number in range(self.parallel)])

        assert statuses(answers) == {200: self.parallel}
        shown = browser.run(lambda request: request.session.pop_flash())
        assert sorted(shown) == list(range(self.parallel))

    def test_a_message_is_popped_by_one_request_only(self, browser: Browser) -> None:
        """Parallel requests that all pop the same message: one of them shows it."""
        browser.run(lambda request: request.session.flash("once"))
        meet = Meeting(self.parallel)

        def pop(request: Any) -> Any:
            request.session.peek_flash()
            meet(request)
            return request.session.pop_flash()

        answers = browser.at_once([pop] * self.parallel)

        assert statuses(answers) == {200: self.parallel}
        assert [answer.value for answer in answers if answer.value] == [["once"]]

    def test_a_visitors_first_writes_are_one_session(self, browser: Browser) -> None:
        """A visitor who has a form open, and whose browser sends several requests that each keep
        something, ends up with one session, in which all of it is."""
        browser.run(get_csrf_token)
        expected = self._set_a_key_each(browser)

        assert browser.run(lambda request: dict(request.session)) == expected

    # A session that ended stays ended.

    @pytest.mark.parametrize("late", LATE_WRITES)
    def test_a_late_write_brings_no_session_back(self, browser: Browser, late: str) -> None:
        """A request that is under way while its session is signed out answers normally, writes
        no session, and its response clears the cookie, which is dead."""
        browser.run(lambda request: request.session.update(start=[1]))
        tab, thief, pause = browser.copy(), browser.copy(), Pause()

        def write_late(request: Any) -> None:
            dict(request.session)
            pause(request)
            LATE_WRITES[late](request)

        answer = pause.during(tab, write_late, lambda: browser.run(_invalidate))

        assert answer.status == 200
        assert [cookie.clears for cookie in answer.cookies] == [True]
        assert tab.cookies == {}
        assert browser.run(lambda request: dict(request.session)) == {}
        assert thief.run(lambda request: dict(request.session)) == {}

    def test_a_late_write_leaves_no_row(
        self, browser: Browser, count_sessions: Callable[[], int]
    ) -> None:
        """There is no row for a session that was signed out while requests were under way."""
        before = count_sessions()
        browser.run(lambda request: request.session.update(start=[1]))
        meet, signed_out = Meeting(self.parallel), Meeting(self.parallel)

        def write_late(request: Any) -> None:
            dict(request.session)
            meet(request)
            signed_out(request)
            request.session["late"] = 1

        def sign_out(request: Any) -> None:
            dict(request.session)
            meet(request)
            browser.copy().run(_invalidate)
            signed_out(request)

        answers = browser.at_once([sign_out, *[write_late] * (self.parallel - 1)])

        assert statuses(answers) == {200: self.parallel}
        assert count_sessions() == before

    def test_what_else_a_late_request_did_is_kept(
        self, browser: Browser, notes_table: None
    ) -> None:
        """The work of a request whose session was signed out meanwhile is its author's business:
        the session writes nothing, the application's own row is committed."""
        browser.run(lambda request: request.session.update(start=[1]))
        pause = Pause()

        def write_late(request: Any) -> None:
            dict(request.session)
            pause(request)
            request.session["late"] = 1
            request.dbsession.add(Note(text="late"))

        pause.during(browser.copy(), write_late, lambda: browser.run(_invalidate))

        assert browser.run(lambda request: request.dbsession.query(Note).count()) == 1

    def test_several_sign_outs_at_once(self, browser: Browser) -> None:
        """Parallel requests that all end the session: all are answered 200, and it has ended."""
        browser.run(lambda request: request.session.update(start=[1]))
        thief, meet = browser.copy(), Meeting(self.parallel)

        def sign_out(request: Any) -> None:
            dict(request.session)
            meet(request)
            request.session.invalidate()

        answers = browser.at_once([sign_out] * self.parallel)

        assert statuses(answers) == {200: self.parallel}
        assert browser.cookies == {}
        assert thief.run(lambda request: dict(request.session)) == {}

    def test_a_late_answer_does_not_undo_a_rotation(
        self, browser: Browser, rotate: Callable[[Any], None]
    ) -> None:
        """A request that is under way while the token is replaced answers normally, and leaves
        the browser with the new token, whose session goes on."""
        browser.run(lambda request: request.session.update(start=1))
        tab, thief, pause = browser.copy(), browser.copy(), Pause()

        def write_late(request: Any) -> None:
            dict(request.session)
            pause(request)
            request.session["late"] = 1

        answer = pause.during(tab, write_late, lambda: browser.run(rotate))

        assert answer.status == 200
        assert list(answer.cookies) == []
        assert browser.run(lambda request: request.session["start"]) == 1
        assert thief.run(lambda request: dict(request.session)) == {}

    def test_several_sign_ins_at_once(self, browser: Browser, users: Users) -> None:
        """Parallel requests of one visitor that all sign in: each is answered with a cookie that
        is signed in."""
        browser.run(lambda request: request.session.update(start=1))
        tabs = [browser.copy() for _ in range(3)]
        meet = Meeting(len(tabs))

        def sign_in(request: Any) -> None:
            dict(request.session)
            meet(request)
            users.sign_in(request, 0)

        with ThreadPoolExecutor(len(tabs)) as threads:
            answers = list(threads.map(lambda tab: tab.answer(sign_in), tabs))

        assert statuses(answers) == {200: len(tabs)}
        assert [tab.run(users.current) for tab in tabs] == [0, 0, 0]


def _invalidate(request: Any) -> None:
    request.session.invalidate()
