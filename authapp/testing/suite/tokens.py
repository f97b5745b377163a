"""The cookie: what it is worth, and what is worth nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from pyramid.csrf import get_csrf_token

from authapp.testing.browser import Browser
from authapp.testing.suite.base import SuiteFixtures, Users

GARBAGE = [
    "",
    "x",
    "AAAA",
    "null",
    "{}",
    "%00",
    "'; DROP TABLE sessions; --",
    '"quoted',
    "=" * 100,
    "A" * 43,
    "A" * 4000,
    "\xff\xfe",
    "é",
    "\\012\\377",
    ".",
    "..........",
]


def _read(request: Any) -> dict[str, Any]:
    return dict(request.session)


def _write(request: Any) -> None:
    request.session["mine"] = 1


class Tokens(SuiteFixtures):
    def test_the_cookie_is_not_for_scripts(self, browser: Browser) -> None:
        """The session's cookie has the attributes HttpOnly and SameSite, and a path."""
        [cookie] = browser.answer(_write).cookies

        assert "httponly" in cookie.attributes
        assert cookie.attributes.get("samesite", "").lower() in {"lax", "strict"}
        assert cookie.attributes.get("path") == "/"

    def test_no_character_of_the_cookie_can_be_changed(self, browser: Browser) -> None:
        """A cookie in which any one character is another one is worth nothing."""
        browser.run(_write)
        [(name, value)] = browser.cookies.items()
        accepted = []

        for position, character in enumerate(value):
            for other in {"A", "B", "b"} - {character}:
                forged = browser.fresh()
                forged.cookies = {name: value[:position] + other + value[position + 1 :]}
                if forged.run(_read):
                    accepted.append((position, character, other))

        assert accepted == []

    def test_no_part_of_the_cookie_can_be_missing(self, browser: Browser) -> None:
        """Nor can anything be added to it."""
        browser.run(_write)
        [(name, value)] = browser.cookies.items()
        cut = [value[:length] for length in range(len(value))]
        longer = [value + more for more in ("A", "=", ".", f".{value}", value)]

        for forgery in [*cut, *longer, value[1:], value[::-1], value.swapcase()]:
            forged = browser.fresh()
            forged.cookies = {name: forgery}
            assert forged.run(_read) == {}, forgery

    @pytest.mark.parametrize("garbage", GARBAGE)
    def test_garbage_is_no_error(self, browser: Browser, garbage: str) -> None:
        """Whatever stands in the cookie: the visitor has an empty session that works."""
        browser.run(_write)
        [name] = browser.cookies
        visitor = browser.fresh()
        # As a server gives it to the application: bytes, each of them a character.
        visitor.cookies = {name: garbage.encode().decode("latin-1")}

        assert visitor.run(_read) == {}
        visitor.run(_write)
        assert visitor.run(_read) == {"mine": 1}
        assert visitor.cookies[name] != garbage

    def test_a_token_that_was_never_issued_is_not_adopted(self, browser: Browser) -> None:
        """Who brings a token that looks right, but was made up, gets another one: else whoever
        made it up would share the session."""
        browser.run(_write)
        [(name, value)] = browser.cookies.items()
        made_up = "".join("A" if c.islower() else "b" if c.isupper() else c for c in value)
        victim, attacker = browser.fresh(), browser.fresh()
        victim.cookies = attacker.cookies = {name: made_up}
        victim.cookies = dict(victim.cookies)

        victim.run(_write)

        assert victim.cookies[name] != made_up
        assert attacker.run(_read) == {}

    def test_a_dead_token_is_not_adopted(self, browser: Browser) -> None:
        """The token of a session that has ended is never used for another one."""
        browser.run(_write)
        attacker, victim = browser.copy(), browser.copy()
        [(name, dead)] = browser.cookies.items()
        browser.run(lambda request: request.session.invalidate())

        victim.run(_write)

        assert victim.cookies[name] != dead
        assert victim.run(_read) == {"mine": 1}
        assert attacker.run(_read) == {}

    def test_the_old_cookie_is_dead_after_a_sign_out(self, browser: Browser) -> None:
        """The browser forgets the cookie, and a copy of it is worth nothing."""
        browser.run(_write)
        thief = browser.copy()

        answer = browser.answer(lambda request: request.session.invalidate())

        assert [cookie.clears for cookie in answer.cookies] == [True]
        assert browser.cookies == {}
        assert thief.run(_read) == {}

    def test_a_session_that_begins_anew_has_another_token(self, browser: Browser) -> None:
        """What is set after `invalidate()` is under a token that nobody has seen before."""
        browser.run(_write)
        thief = browser.copy()

        browser.run(lambda r: (r.session.invalidate(), r.session.update(secret=1)))

        assert browser.cookies != thief.cookies
        assert browser.run(_read) == {"secret": 1}
        assert thief.run(_read) == {}

    def test_rotation_kills_the_old_token(
        self, browser: Browser, rotate: Callable[[Any], None]
    ) -> None:
        """After a rotation the data are there, and the token of before is dead at once."""
        browser.run(_write)
        thief = browser.copy()

        browser.run(rotate)

        assert browser.cookies != thief.cookies
        assert browser.run(_read) == {"mine": 1}
        assert thief.run(_read) == {}

    def test_rotation_keeps_the_id(
        self,
        browser: Browser,
        rotate: Callable[[Any], None],
        session_id: Callable[[Any], Any],
    ) -> None:
        """The session's public id is stable, so that a row such as a cart can refer to it."""
        browser.run(_write)
        before = browser.run(session_id)

        browser.run(rotate)

        assert before is not None
        assert browser.run(session_id) == before

    def test_rotation_and_changes_go_together(
        self, browser: Browser, rotate: Callable[[Any], None]
    ) -> None:
        """What the same request changes, before and after it rotates, is all kept."""
        browser.run(_write)

        def view(request: Any) -> None:
            request.session["before"] = 1
            rotate(request)
            request.session["after"] = 1
            del request.session["mine"]

        browser.run(view)

        assert browser.run(_read) == {"before": 1, "after": 1}

    def test_rotating_nothing_sets_no_cookie_that_names_nothing(
        self, browser: Browser, rotate: Callable[[Any], None], count_sessions: Callable[[], int]
    ) -> None:
        """A visitor's session without any data can be rotated; if that stores nothing, the cookie
        does not say that it did."""
        before = count_sessions()

        browser.run(rotate)

        if count_sessions() == before:
            cookies = dict(browser.cookies)
            browser.run(_read)
            assert browser.cookies == cookies

    def test_a_sign_in_kills_the_visitors_token(self, browser: Browser, users: Users) -> None:
        """Whoever planted or saw the visitor's cookie is not signed in by it (fixation)."""
        browser.run(_write)
        attacker = browser.copy()

        browser.run(lambda request: users.sign_in(request, 0))

        assert browser.run(users.current) == 0
        assert browser.cookies != attacker.cookies
        assert attacker.run(users.current) is None
        assert attacker.run(_read) == {}

    def test_a_second_sign_in_kills_the_first_token(self, browser: Browser, users: Users) -> None:
        """Signing in anew, as the same user, replaces the token once more."""
        browser.run(lambda request: users.sign_in(request, 0))
        thief = browser.copy()

        browser.run(lambda request: users.sign_in(request, 0))

        assert browser.run(users.current) == 0
        assert thief.run(users.current) is None

    def test_another_user_gets_nothing_of_the_first(self, browser: Browser, users: Users) -> None:
        """When another user signs in, nothing of the first one's session is left."""

        def first(request: Any) -> None:
            users.sign_in(request, 0)
            request.session["private"] = "of the first"

        browser.run(first)
        thief = browser.copy()

        browser.run(lambda request: users.sign_in(request, 1))

        assert browser.run(users.current) == 1
        assert browser.run(_read) == {}
        assert thief.run(users.current) is None
        assert thief.run(_read) == {}

    def test_signing_out_leaves_nobody_signed_in(self, browser: Browser, users: Users) -> None:
        """After `invalidate()` nobody is signed in, neither here nor by the old cookie."""
        browser.run(lambda request: users.sign_in(request, 0))
        thief = browser.copy()

        browser.run(lambda request: request.session.invalidate())

        assert browser.run(users.current) is None
        assert thief.run(users.current) is None

    # CSRF tokens, where Pyramid's default storage policy keeps them in the session.

    def test_a_csrf_token_stays_the_same(self, browser: Browser) -> None:
        """A form that is open in one tab stays valid while others are opened, and when the
        session is first stored."""
        token = browser.run(get_csrf_token)

        assert token
        assert browser.run(get_csrf_token) == token
        browser.run(_write)
        assert browser.run(get_csrf_token) == token
        assert browser.fresh().run(get_csrf_token) != token

    def test_a_csrf_token_changes_with_a_sign_in(self, browser: Browser, users: Users) -> None:
        """Whoever learned the visitor's CSRF token cannot use it against the signed-in user."""
        token = browser.run(get_csrf_token)

        browser.run(lambda request: users.sign_in(request, 0))

        assert browser.run(get_csrf_token) != token
