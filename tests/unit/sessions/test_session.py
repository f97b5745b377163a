import logging
import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.cookies import SimpleCookie
from typing import Any
from uuid import UUID

import pytest
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPSeeOther
from pyramid.interfaces import ISession, ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from zope.interface.verify import verifyClass, verifyObject

from authapp.domain.sessions import Client
from authapp.sessions import (
    Session,
    SessionConflict,
    SessionFactory,
    SessionLost,
    SessionMode,
    SessionNotAllowed,
    SessionNotWritable,
    SessionTooLarge,
)
from authapp.sessions.codec import Unserializable
from authapp.sessions.session import SESSION_MODE
from authapp.settings import load_session_settings
from tests.fakes import InMemorySessionStore

RAW = {
    "session.secret": "not secret: the tests know it anyway",
    "session.cookie_name": "session",
    "session.touch_interval": "5m",
}
SETTINGS = load_session_settings(RAW)
ADA, BO = UUID(int=1), UUID(int=2)


class Browser:
    """A browser, before an application of one view that does to the session what it is told to.

    All of it is real, pyramid_tm and pyramid_retry too, except for the store.
    """

    def __init__(self, store, settings=SETTINGS, *, attempts=1, cookie=None):
        self.store = store
        self.cookie = cookie
        self.response: Any = None
        self._attempts = attempts
        self._app = make_app(store, settings, attempts)

    def twin(self):
        """The same browser, for another request at the same time."""
        return Browser(self.store, attempts=self._attempts, cookie=self.cookie)

    def visit(self, view, *, mode=None, transaction=True, fail_commit=False, **environ):
        """Returns what `view` does, which gets the session."""
        results = []
        environ["tests.view"] = lambda session: results.append(view(session))
        environ["tests.fail_commit"] = fail_commit
        if mode is not None:
            environ[SESSION_MODE] = mode
        if not transaction:
            environ["repoze.tm.active"] = True  # Makes pyramid_tm stay out of it.
        if self.cookie is not None:
            environ["HTTP_COOKIE"] = f"session={self.cookie}"
        self.response = Request.blank("/", environ=environ).get_response(self._app)
        for header in self.set_cookies:
            cookie = SimpleCookie(header)["session"]
            self.cookie = None if cookie["max-age"] == "0" else cookie.value
        return results[-1] if results else None

    def read(self):
        """What the session holds, as another request finds it."""
        return self.visit(dict)

    @property
    def row(self):
        [row] = self.store.rows.values()
        return row

    @property
    def set_cookies(self):
        return self.response.headers.getall("Set-Cookie")


def make_app(store, settings, attempts):
    config = Configurator(
        settings={
            "tm.manager_hook": "pyramid_tm.explicit_manager",
            "tm.annotate_user": "false",
            "retry.attempts": str(attempts),
        }
    )
    config.include("pyramid_tm")
    config.include("pyramid_retry")
    config.set_session_factory(SessionFactory(settings, lambda request: store))
    config.add_view(view)
    return config.make_wsgi_app()


def view(request):
    request.environ["tests.view"](request.session)
    if request.environ["tests.fail_commit"]:
        request.tm.get().addBeforeCommitHook(fail)
    return Response("seen")


class CommitFailed(Exception):
    pass


def fail():
    raise CommitFailed


def put(**values):
    """A view that puts `values` into the session."""
    return lambda session: session.update(values)


def look(session):
    """A view that reads the session, and no more."""
    return session.get("anything")


@pytest.fixture
def store():
    return InMemorySessionStore(SETTINGS)


@pytest.fixture
def browser(store):
    """Of a visitor, who has never been here."""
    return Browser(store)


@pytest.fixture
def shopper(browser):
    """Of a visitor who has something in the session: {"n": 1, "list": [1]}."""
    browser.visit(put(n=1, list=[1]))
    browser.store.calls.clear()
    return browser


@pytest.fixture
def ada(browser):
    """Of a user who is signed in, and has {"n": 1} in the session."""
    browser.visit(lambda session: (session.sign_in(ADA), session.update(n=1)))
    browser.store.calls.clear()
    return browser


class TestInterfaces:
    def test_the_session_is_what_pyramid_expects(self, store):
        session = SessionFactory(SETTINGS, lambda request: store)(Request.blank("/"))

        assert verifyObject(ISession, session)
        assert verifyClass(ISession, Session)

    def test_so_is_its_factory(self, store):
        assert verifyObject(ISessionFactory, SessionFactory(SETTINGS, lambda request: store))


class TestVisitors:
    @pytest.mark.parametrize(
        "look_at",
        [
            look,
            dict,
            len,
            bool,
            lambda session: session.id,
            lambda session: session.user_id,
            lambda session: session.owner,
            lambda session: session.new,
            lambda session: session.created,
            lambda session: session.persistent,
            lambda session: session.peek_flash(),
            lambda session: session.pop_flash(),
            lambda session: session.pop("anything", None),
            lambda session: session.get_csrf_token(),
            lambda session: session.new_csrf_token(),
            lambda session: session.changed(),
            lambda session: session.clear(),
            lambda session: session.update({}),
            lambda session: session.rotate(),
            lambda session: session.invalidate(),
        ],
    )
    def test_looking_costs_the_store_nothing_also_the_second_time(self, browser, look_at):
        browser.visit(look_at)
        browser.visit(look_at)

        assert browser.store.calls == []

    def test_one_who_leaves_nothing_gets_no_cookie(self, browser):
        browser.visit(look)

        assert browser.set_cookies == []

    def test_one_who_sees_a_form_gets_one_for_as_long_as_the_browser_is_open(self, browser):
        browser.visit(lambda session: session.get_csrf_token())

        [header] = browser.set_cookies
        assert "Max-Age" not in header
        assert browser.store.rows == {}

    def test_the_forms_token_stays_the_same(self, browser):
        tokens = {browser.visit(lambda session: session.get_csrf_token()) for _ in range(3)}

        assert len(tokens) == 1
        assert len(browser.set_cookies) == 0

    def test_the_token_stays_when_something_is_kept(self, browser):
        token = browser.visit(lambda session: session.get_csrf_token())

        browser.visit(put(n=1))

        assert browser.visit(lambda session: session.get_csrf_token()) == token

    def test_a_new_token_is_another_one_from_then_on(self, browser):
        token = browser.visit(lambda session: session.get_csrf_token())
        new = browser.visit(lambda session: session.new_csrf_token())

        assert new != token
        assert browser.visit(lambda session: session.get_csrf_token()) == new

    def test_a_forged_cookie_costs_the_store_nothing(self, browser):
        for forged in ("x", "s" + "A" * 43 + "." + "A" * 43):
            browser.cookie = forged
            browser.visit(look)

        assert browser.store.calls == []

    def test_a_visitors_cookie_is_no_key_to_the_session_that_came_of_it(self, browser):
        browser.visit(lambda session: session.get_csrf_token())
        visitors = browser.cookie
        browser.visit(put(n=1))

        browser.cookie = visitors

        assert browser.read() == {}

    def test_one_whose_first_answer_was_lost_can_try_again(self, store):
        """The row is there, the browser does not know, and sends the visitor's cookie once more."""
        browser = Browser(store, attempts=3)
        browser.visit(lambda session: session.get_csrf_token())
        visitors = browser.cookie
        browser.visit(put(n=1, m=1))
        browser.cookie = visitors

        browser.visit(put(n=2))

        assert browser.read() == {"n": 2, "m": 1}

    def test_a_late_request_in_the_background_leaves_the_newer_cookie_alone(self, ada):
        late = ada.twin()
        ada.visit(lambda session: session.rotate())

        late.visit(lambda session: session.get_csrf_token(), HTTP_SEC_FETCH_MODE="cors")

        assert late.set_cookies == []

    def test_a_cookie_left_over_beside_the_live_one_does_no_harm(self, ada):
        """From before the path or the domain was changed in the settings."""
        left_over = Browser(ada.store)
        left_over.visit(put(n=9))
        dead = left_over.cookie
        left_over.visit(lambda session: session.invalidate())

        ada.cookie = f"{dead}; session={ada.cookie}"

        assert ada.read() == {"n": 1}

    def test_nor_beside_a_visitors(self, browser):
        left_over = Browser(browser.store)
        left_over.visit(put(n=9))
        dead = left_over.cookie
        left_over.visit(lambda session: session.invalidate())
        token = browser.visit(lambda session: session.get_csrf_token())

        browser.cookie = f"{dead}; session={browser.cookie}"

        assert browser.visit(lambda session: session.get_csrf_token()) == token

    def test_of_two_first_requests_at_once_both_are_kept(self, store):
        browser = Browser(store, attempts=3)
        browser.visit(lambda session: session.get_csrf_token())
        other = browser.twin()
        runs: list[str] = []

        def put_both(session):
            session["a"] = 1
            runs.append("run")
            if len(runs) == 1:
                other.visit(put(b=2))

        browser.visit(put_both)

        assert browser.read() == other.read() == {"a": 1, "b": 2}
        assert len(store.rows) == 1


class TestMapping:
    def test_what_is_put_in_is_there_in_the_next_request(self, browser):
        browser.visit(put(n=1, s="é🙂"))

        assert browser.read() == {"n": 1, "s": "é🙂"}

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda s: s.__setitem__("n", 2), {"n": 2, "list": [1]}),
            (lambda s: s.__setitem__("", None), {"": None, "n": 1, "list": [1]}),
            (lambda s: s.__delitem__("n"), {"list": [1]}),
            (lambda s: s.pop("n"), {"list": [1]}),
            (lambda s: s.popitem() and s.popitem(), {}),
            (lambda s: s.clear(), {}),
            (lambda s: s.update({"n": 2}, m=3), {"n": 2, "m": 3, "list": [1]}),
            (lambda s: s.update([("n", 2)]), {"n": 2, "list": [1]}),
            (lambda s: s.setdefault("n", 9), {"n": 1, "list": [1]}),
            (lambda s: s.setdefault("m", []).append(1), {"m": [1], "n": 1, "list": [1]}),
            (lambda s: s.__ior__({"n": 2, "m": 3}), {"n": 2, "m": 3, "list": [1]}),
            (lambda s: s.__setitem__("n", 1), {"n": 1, "list": [1]}),
        ],
    )
    def test_it_changes_as_a_dict_does(self, shopper, change, expected):
        shopper.visit(change)

        assert shopper.read() == expected

    def test_or_equals_keeps_the_session_a_session(self, shopper):
        def merge(session):
            merged = session
            merged |= {"m": 2}
            return merged is session, dict(merged)

        assert shopper.visit(merge) == (True, {"n": 1, "list": [1], "m": 2})
        assert shopper.read() == {"n": 1, "list": [1], "m": 2}

    def test_it_reads_as_a_dict_does(self, shopper):
        def look(session):
            return {
                "in": ("n" in session, "x" in session, None in session),
                "len": len(session),
                "bool": bool(session),
                "iter": sorted(session),
                "keys": sorted(session.keys()),
                "values": [1] in session.values(),
                "items": ("n", 1) in session.items(),
                "get": (session.get("n"), session.get("x"), session.get("x", 2)),
                "==": session == {"n": 1, "list": [1]},
                "copy": session.copy(),
                "pop": session.pop("x", 3),
            }

        assert shopper.visit(look) == {
            "in": (True, False, False),
            "len": 2,
            "bool": True,
            "iter": ["list", "n"],
            "keys": ["list", "n"],
            "values": True,
            "items": True,
            "get": (1, None, 2),
            "==": True,
            "copy": {"n": 1, "list": [1]},
            "pop": 3,
        }

    @pytest.mark.parametrize(
        "access",
        [
            lambda session: session["x"],
            lambda session: session.pop("x"),
            lambda session: session.__delitem__("x"),
        ],
    )
    def test_what_is_not_there_is_a_key_error(self, shopper, access):
        with pytest.raises(KeyError, match="x"):
            shopper.visit(access)

    def test_a_change_is_seen_at_once(self, shopper):
        def change(session):
            session["n"] = 2
            del session["list"]
            session["m"] = 3
            return dict(session)

        assert shopper.visit(change) == {"n": 2, "m": 3}

    def test_a_copy_is_on_its_own(self, shopper):
        shopper.visit(lambda session: session.copy().update(n=2))

        assert shopper.read() == {"n": 1, "list": [1]}

    def test_values_keep_their_types(self, browser):
        values = {
            "datetime": datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC),
            "date": date(2026, 1, 1),
            "uuid": ADA,
            "decimal": Decimal("1.50"),
            "bytes": b"\0\xff",
            "nul": "a\0b",
            "float": 1e300,
            "nested": [{"$date": "no tag"}, None, True, [[]]],
        }
        browser.visit(lambda session: session.update(values))

        assert browser.read() == values

    def test_its_repr_which_may_end_in_a_log_shows_neither_values_nor_token(self, shopper):
        shopper.visit(put(secret="hunter2"))

        shown = shopper.visit(lambda session: (look(session), repr(session))[1])

        assert str(shopper.row.id) in shown
        assert "hunter2" not in shown
        assert shopper.row.token_hash.hex() not in shown


class TestNestedValues:
    @pytest.mark.parametrize(
        "change",
        [
            lambda session: session["list"].append(2),
            lambda session: session.get("list").append(2),
            lambda session: next(v for k, v in session.items() if k == "list").append(2),
            lambda session: session.copy()["list"].append(2),
            lambda session: session.setdefault("list", []).append(2),
            lambda session: session["list"].append(2) or session.changed(),
        ],
    )
    def test_what_is_changed_in_place_is_kept(self, shopper, change):
        shopper.visit(change)

        assert shopper.read() == {"n": 1, "list": [1, 2]}

    def test_however_deep_it_is(self, browser):
        browser.visit(put(a={"b": [{"c": {}}]}))
        browser.visit(lambda session: session["a"]["b"][0]["c"].update(d=1))

        assert browser.read() == {"a": {"b": [{"c": {"d": 1}}]}}

    def test_in_what_was_put_in_a_moment_ago_too(self, browser):
        def change(session):
            basket = session["basket"] = []
            basket.append("book")

        browser.visit(change)

        assert browser.read() == {"basket": ["book"]}

    def test_after_a_look_from_outside_of_the_transaction_too(self, browser, store):
        """As of a tween over pyramid_tm, which asks for the language of the page."""
        browser.visit(put(list=[1]))

        app = make_app(store, SETTINGS, attempts=1)
        tweens = app.handle_request

        def look_first(request):
            request.session.get("language")
            return tweens(request)

        app.handle_request = look_first
        environ = {"tests.view": lambda s: s["list"].append(2), "tests.fail_commit": False}
        environ["HTTP_COOKIE"] = f"session={browser.cookie}"
        Request.blank("/", environ=environ).get_response(app)

        assert browser.read() == {"list": [1, 2]}


class TestRefusals:
    def test_a_value_that_cannot_be_kept_is_refused_where_it_is_put_in(self, shopper):
        def put_in(session):
            with pytest.raises(Unserializable, match=r"^session\['basket'\]\[1\]\['x'\]: .* a set"):
                session["basket"] = [1, {"x": {2}}]

        shopper.visit(put_in)

        assert shopper.read() == {"n": 1, "list": [1]}

    @pytest.mark.parametrize("key", [1, None, b"n", ("n",), "\0", "\ud800"])
    def test_so_is_a_key(self, shopper, key):
        def put_in(session):
            with pytest.raises(Unserializable, match=f"^session key {re.escape(repr(key))}: "):
                session[key] = 1

        shopper.visit(put_in)

        assert shopper.read() == {"n": 1, "list": [1]}

    def test_one_that_gets_in_later_fails_the_request_and_changes_nothing(self, shopper):
        with pytest.raises(Unserializable, match=r"^session\['list'\]\[1\]: .* a object"):
            shopper.visit(lambda session: session["list"].append(object()))

        assert shopper.read() == {"n": 1, "list": [1]}


class TestSize:
    SMALL = load_session_settings(RAW | {"session.max_size": "100"})

    @pytest.fixture
    def small(self, store):
        return Browser(store, self.SMALL)

    def test_as_much_as_is_set_can_be_kept(self, small):
        small.visit(put(a="x" * 97))  # And the key, and two quotation marks.

        assert small.read() == {"a": "x" * 97}

    @pytest.mark.parametrize("fresh", [True, False])
    def test_more_is_an_error_that_names_the_largest_key(self, small, fresh):
        if not fresh:
            small.visit(put(tiny=1))
        with pytest.raises(
            SessionTooLarge, match=r"115 .* 100; the largest key is 'large' with 82"
        ):
            small.visit(put(tiny=1, large="x" * 75, medium="x" * 20))

        assert small.read() == ({} if fresh else {"tiny": 1})

    def test_what_is_larger_already_can_still_be_read(self, browser, small):
        browser.visit(put(large="x" * 200))
        small.cookie = browser.cookie

        assert small.read() == {"large": "x" * 200}

    def test_and_made_smaller(self, browser, small):
        browser.visit(put(large="x" * 200, n=1))
        small.cookie = browser.cookie

        small.visit(lambda session: session.pop("large"))

        assert small.read() == {"n": 1}

    def test_the_limit_is_in_bytes_whatever_the_alphabet(self, small):
        small.visit(put(a="é" * 48))

        assert small.read() == {"a": "é" * 48}


class TestFlash:
    def test_a_message_is_shown_once(self, browser):
        browser.visit(lambda session: session.flash("saved"))

        assert browser.visit(lambda session: session.pop_flash()) == ["saved"]
        assert browser.visit(lambda session: session.pop_flash()) == []

    def test_messages_are_shown_in_their_order_in_the_same_request_too(self, browser):
        def flash(session):
            session.flash("one")
            session.flash("two")
            return session.peek_flash(), session.pop_flash(), session.pop_flash()

        assert browser.visit(flash) == (["one", "two"], ["one", "two"], [])

    def test_peeking_leaves_them(self, browser):
        browser.visit(lambda session: session.flash("saved"))

        assert browser.visit(lambda session: session.peek_flash()) == ["saved"]
        assert browser.visit(lambda session: session.peek_flash()) == ["saved"]

    def test_queues_are_apart(self, browser):
        browser.visit(
            lambda s: (s.flash("a"), s.flash("b", "errors"), s.flash("c", queue="errors"))
        )

        assert browser.visit(lambda session: session.pop_flash("errors")) == ["b", "c"]
        assert browser.visit(lambda session: session.pop_flash()) == ["a"]
        assert browser.visit(lambda session: session.pop_flash("other")) == []

    def test_duplicates_are_kept_unless_told_not_to(self, browser):
        def flash(session):
            session.flash("a")
            session.flash("a")
            session.flash("b", allow_duplicate=False)
            session.flash("a", "", False)
            session.flash("a", "other", allow_duplicate=False)

        browser.visit(flash)

        assert browser.visit(lambda session: session.peek_flash()) == ["a", "a", "b"]
        assert browser.visit(lambda session: session.peek_flash("other")) == ["a"]

    def test_a_message_may_be_any_value(self, browser):
        message = {"text": "saved", "at": datetime(2026, 1, 1, tzinfo=UTC)}
        browser.visit(lambda session: session.flash(message))

        assert browser.visit(lambda session: session.pop_flash()) == [message]


class TestLife:
    def test_a_session_is_new_until_it_is_stored(self, browser):
        assert browser.visit(lambda session: session.new) is True
        assert browser.visit(lambda session: session.update(n=1) or session.new) is True
        assert browser.visit(lambda session: session.new) is False

    def test_it_keeps_the_time_of_its_creation(self, shopper):
        created = int(shopper.store.now.timestamp())
        shopper.store.let_pass(timedelta(days=1))

        assert shopper.visit(lambda session: session.created) == created

    def test_one_that_is_not_stored_is_created_now(self, browser):
        created = browser.visit(lambda session: session.created)

        assert type(created) is int
        assert abs(created - datetime.now(UTC).timestamp()) < 60

    def test_its_public_id_stays_the_same(self, shopper):
        first = shopper.visit(lambda session: session.id)
        shopper.visit(lambda session: session.sign_in(ADA))

        assert shopper.visit(lambda session: session.id) == first == shopper.row.id

    def test_one_that_is_not_stored_has_none(self, browser):
        assert browser.visit(lambda session: session.id) is None

    def test_it_is_written_down_where_it_was_started_from(self, browser):
        browser.visit(put(n=1), REMOTE_ADDR="192.0.2.1", HTTP_USER_AGENT="Browser/1.0")

        assert browser.row.client == Client("192.0.2.1", "Browser/1.0")

    def test_but_nothing_that_could_forge_a_log_line_or_fill_the_table(self, browser):
        browser.visit(put(n=1), HTTP_USER_AGENT="a\x1b[2J\r\nb" + "c" * 1000)

        assert browser.row.client.user_agent == "a[2Jb" + "c" * 507

    def test_nor_what_anybody_claims_to_be_forwarded_for(self, browser):
        browser.visit(put(n=1), REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="10.0.0.1")

        assert browser.row.client.address == "192.0.2.1"

    def test_its_use_is_written_down_once_an_interval(self, shopper):
        shopper.store.let_pass(timedelta(minutes=10))
        for _ in range(3):
            shopper.visit(look)

        assert shopper.store.calls == ["load", "touch", "load", "load"]

    def test_one_that_has_ended_is_a_new_one(self, shopper):
        shopper.store.let_pass(SETTINGS.lifetime)

        assert shopper.visit(lambda session: (session.new, dict(session))) == (True, {})

    @pytest.mark.parametrize("headers", [{}, {"HTTP_SEC_FETCH_MODE": "navigate"}])
    def test_and_the_browser_forgets_its_cookie(self, shopper, headers):
        shopper.store.let_pass(SETTINGS.lifetime)
        shopper.visit(look, **headers)

        assert shopper.cookie is None

    @pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin"])
    def test_but_a_request_in_the_background_may_merely_be_late(self, ada, mode):
        """Sent with the old token, it would clear the cookie with the new one."""
        late = ada.twin()
        ada.visit(lambda session: session.rotate())

        late.visit(look, HTTP_SEC_FETCH_MODE=mode)

        assert late.set_cookies == []

    def test_its_csrf_token_vouches_for_nothing_any_more(self, shopper):
        token = shopper.visit(lambda session: session.get_csrf_token())
        shopper.store.let_pass(SETTINGS.lifetime)

        assert shopper.visit(lambda session: session.get_csrf_token()) != token


class TestWriting:
    def test_what_is_only_read_is_not_written(self, shopper):
        shopper.visit(lambda session: [session.get("list"), dict(session), session.changed()])

        assert shopper.store.calls == ["load"]

    def test_nor_is_what_is_the_same_again(self, shopper):
        shopper.visit(lambda session: session.update(n=1, list=[1]))

        assert shopper.store.calls == ["load"]

    def test_a_session_that_is_not_looked_at_is_not_even_loaded(self, shopper):
        shopper.visit(lambda session: None)

        assert shopper.store.calls == []

    def test_a_new_session_is_written_once(self, browser):
        browser.visit(lambda session: [session.update(n=n) for n in range(3)])

        assert browser.store.calls == ["insert"]

    def test_a_change_is_written_once(self, shopper):
        shopper.visit(lambda session: [session.update(n=n) for n in range(5)])

        assert shopper.store.calls == ["load", "update"]

    def test_an_error_in_the_view_rolls_everything_back(self, shopper):
        def fail(session):
            session["n"] = 2
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            shopper.visit(fail)

        assert shopper.store.calls == ["load"]
        assert shopper.read() == {"n": 1, "list": [1]}

    def test_so_does_a_response_that_is_raised(self, shopper):
        def forbid(session):
            session["n"] = 2
            raise HTTPForbidden

        shopper.visit(forbid)

        assert shopper.response.status_int == 403
        assert shopper.read() == {"n": 1, "list": [1]}

    def test_outside_of_a_transaction_it_can_be_read(self, shopper):
        assert shopper.visit(dict, transaction=False) == {"n": 1, "list": [1]}

    @pytest.mark.parametrize(
        "change",
        [
            put(n=2),
            lambda session: session.__delitem__("n"),
            lambda session: session.pop("n"),
            lambda session: session.clear(),
            lambda session: session.setdefault("m", 1),
            lambda session: session.flash("saved"),
            lambda session: session.changed(),
            lambda session: session.sign_in(ADA),
            lambda session: session.rotate(),
            lambda session: session.invalidate(),
            lambda session: session.new_csrf_token(),
        ],
    )
    def test_and_not_written(self, shopper, change):
        with pytest.raises(SessionNotWritable, match="outside of the request's transaction"):
            shopper.visit(change, transaction=False)

        assert shopper.read() == {"n": 1, "list": [1]}

    def test_after_it_has_been_written_it_can_be_read_and_not_written(self, shopper):
        def change(session):
            session["n"] = 2
            session._request.add_response_callback(lambda *_: late.append(dict(session)))
            session._request.add_response_callback(lambda *_: session.update(n=3))

        late: list[dict[str, Any]] = []
        with pytest.raises(SessionNotWritable):
            shopper.visit(change)

        assert late == [{"n": 2, "list": [1]}]
        assert shopper.read()["n"] == 2

    def test_what_something_else_wrote_and_cannot_be_read_is_left_out_and_logged(
        self, shopper, caplog
    ):
        shopper.row.data["strange"] = '{"$from-a-newer-version": 1}'

        with caplog.at_level(logging.WARNING):
            assert shopper.read() == {"n": 1, "list": [1]}

        assert "strange" in caplog.text

    def test_and_is_left_alone_by_those_who_do_not_touch_it(self, shopper):
        shopper.row.data["strange"] = '{"$from-a-newer-version": 1}'

        shopper.visit(dict)
        shopper.visit(put(n=2))

        assert shopper.row.data["strange"] == '{"$from-a-newer-version": 1}'

    @pytest.mark.parametrize(
        "text",
        [
            "9" * 5000,
            "[" * 100_000 + "]" * 100_000,
            '{"a":' * 1500 + "1" + "}" * 1500,
            "[" * 900 + "]" * 900,
            '{"$date":"9999999-01-01"}',
            '{"$decimal":"1e99999999999999999999"}',
            '{"$datetime":""}',
        ],
    )
    def test_garbage_is_no_error(self, shopper, text):
        shopper.row.data["garbage"] = text

        seen = shopper.visit(
            lambda session: (session.user_id, session.get("garbage"), len(session))
        )

        assert seen is not None
        shopper.visit(put(n=2))
        assert shopper.read()["n"] == 2


class TestSigningIn:
    def test_the_session_becomes_the_users(self, browser):
        browser.visit(lambda session: session.sign_in(ADA))

        assert browser.visit(lambda session: session.user_id) == ADA
        assert browser.visit(lambda session: session.owner) == f"the user {ADA}"

    def test_the_user_is_known_at_once(self, browser):
        assert browser.visit(lambda session: session.sign_in(ADA) or session.user_id) == ADA

    def test_what_a_visitor_has_kept_stays_under_the_same_id(self, shopper):
        before = shopper.row.id

        shopper.visit(lambda session: session.sign_in(ADA))

        assert shopper.read() == {"n": 1, "list": [1]}
        assert shopper.row.id == before
        assert shopper.row.user_id == ADA

    @pytest.mark.parametrize("kind", ["visitor", "shopper", "user"])
    def test_the_token_is_a_new_one_and_the_old_one_is_dead(self, browser, kind):
        browser.visit(
            {
                "visitor": lambda session: session.get_csrf_token(),
                "shopper": put(n=1),
                "user": lambda session: session.sign_in(ADA),
            }[kind]
        )
        before = browser.cookie
        csrf_token = browser.visit(lambda session: session.get_csrf_token())

        browser.visit(lambda session: session.sign_in(ADA))

        assert browser.cookie != before
        assert browser.visit(lambda session: session.get_csrf_token()) != csrf_token
        browser.cookie = before
        assert browser.visit(lambda session: (session.user_id, dict(session))) == (None, {})

    def test_the_csrf_token_of_the_answer_is_the_new_one(self, browser):
        token = browser.visit(lambda s: s.sign_in(ADA) or s.get_csrf_token())

        assert browser.visit(lambda session: session.get_csrf_token()) == token

    def test_another_users_session_is_ended_and_a_new_one_begun(self, ada):
        before = ada.row

        ada.visit(lambda session: session.sign_in(BO))

        assert ada.row.id != before.id
        assert ada.row.user_id == BO
        assert ada.read() == {}

    def test_also_where_both_sign_in_during_the_same_request(self, browser):
        def sign_in_twice(session):
            session.sign_in(ADA)
            session["secret"] = "of Ada"
            session.sign_in(BO)

        browser.visit(sign_in_twice)

        assert browser.visit(lambda session: session.user_id) == BO
        assert browser.read() == {}

    def test_the_same_user_again_keeps_everything(self, ada):
        before = ada.row

        ada.visit(lambda session: session.sign_in(ADA))

        assert ada.row.id == before.id
        assert ada.row.token_hash != before.token_hash
        assert ada.read() == {"n": 1}

    @pytest.mark.parametrize("persistent", [True, False, None])
    def test_the_cookie_outlives_the_browser_unless_told_not_to(self, browser, persistent):
        browser.visit(lambda session: session.sign_in(ADA, persistent=persistent))

        [header] = browser.set_cookies
        assert ("Max-Age" in header) is (persistent is not False)
        assert browser.row.persistent is (persistent is not False)
        assert browser.visit(lambda session: session.persistent) is (persistent is not False)

    def test_signing_in_again_leaves_that_as_it_was_unless_told(self, browser):
        browser.visit(lambda session: session.sign_in(ADA, persistent=False))

        browser.visit(lambda session: session.sign_in(ADA))

        assert browser.row.persistent is False
        assert "Max-Age" not in browser.set_cookies[0]

    def test_the_table_knows_the_tokens_digest_alone(self, ada):
        token = ada.cookie[1:].partition(".")[0]

        assert token not in repr(ada.store.rows)
        assert ada.row.token_hash.hex() not in ada.cookie

    def test_a_user_who_is_deleted_meanwhile_is_a_conflict(self):
        browser = Browser(InMemorySessionStore(SETTINGS, owner_of=lambda user_id: None))

        with pytest.raises(SessionConflict):
            browser.visit(lambda session: session.sign_in(ADA))

        assert browser.cookie is None


class TestRotating:
    def test_everything_stays_but_the_token(self, ada):
        before, cookie = ada.row, ada.cookie

        ada.visit(lambda session: session.rotate())

        assert ada.cookie != cookie
        assert ada.row.token_hash != before.token_hash
        assert (ada.row.id, ada.row.user_id, ada.row.data) == (before.id, ADA, {"n": "1"})

    def test_a_new_csrf_token_takes_a_new_token(self, ada):
        before = ada.cookie

        token = ada.visit(lambda session: session.new_csrf_token())

        assert ada.cookie != before
        assert ada.visit(lambda session: session.get_csrf_token()) == token

    def test_persistence_can_be_changed(self, ada):
        ada.visit(lambda session: setattr(session, "persistent", False))

        assert "Max-Age" not in ada.set_cookies[0]
        assert ada.row.persistent is False


class TestEnding:
    def test_the_row_goes(self, ada):
        ada.visit(lambda session: session.invalidate())

        assert ada.store.rows == {}

    def test_the_browser_forgets_its_cookie(self, ada):
        ada.visit(lambda session: session.invalidate())

        assert ada.cookie is None
        assert "Max-Age=0" in ada.set_cookies[0]

    def test_the_old_cookie_is_dead(self, ada):
        before = ada.cookie
        ada.visit(lambda session: session.invalidate())

        ada.cookie = before

        assert ada.visit(lambda session: (session.user_id, dict(session))) == (None, {})

    def test_it_is_over_at_once(self, ada):
        def end(session):
            session.invalidate()
            return session.user_id, session.owner, session.id, session.new, dict(session)

        assert ada.visit(end) == (None, None, None, True, {})

    def test_a_new_one_may_begin_in_the_same_request(self, ada):
        before = ada.row

        ada.visit(lambda session: session.invalidate() or session.flash("You have signed out."))

        assert ada.visit(lambda session: session.user_id) is None
        assert ada.visit(lambda session: session.pop_flash()) == ["You have signed out."]
        assert before.id not in ada.store.rows

    def test_its_csrf_token_is_another(self, ada):
        token = ada.visit(lambda session: session.get_csrf_token())

        assert ada.visit(lambda s: s.invalidate() or s.get_csrf_token()) != token

    def test_ending_it_twice_is_no_error(self, ada):
        ada.visit(lambda session: session.invalidate() or session.invalidate())

        assert ada.store.rows == {}
        assert ada.cookie is None

    def test_ending_nothing_writes_nothing(self, browser):
        browser.visit(lambda session: session.invalidate())

        assert browser.store.calls == []

    def test_changes_made_before_go_with_it(self, ada):
        ada.visit(lambda session: session.update(n=2) or session.invalidate())

        assert ada.store.rows == {}


class TestCookies:
    def test_a_cookie_is_set_with_the_first_write_and_then_left_alone(self, browser):
        browser.visit(put(n=1))
        assert len(browser.set_cookies) == 1

        browser.visit(put(n=2))
        assert browser.set_cookies == []

    @pytest.mark.parametrize("change", [put(n=1), lambda session: session.sign_in(ADA)])
    def test_none_is_set_for_a_row_that_is_not_committed(self, browser, change):
        with pytest.raises(CommitFailed):
            browser.visit(change, fail_commit=True)

        assert browser.cookie is None

    @pytest.mark.parametrize(
        "change",
        [
            lambda session: session.sign_in(BO),
            lambda session: session.rotate(),
            lambda session: session.invalidate(),
        ],
    )
    def test_nor_is_one_changed_by_what_is_rolled_back(self, ada, change):
        before = ada.cookie

        def change_and_forbid(session):
            change(session)
            raise HTTPForbidden

        ada.visit(change_and_forbid)

        assert ada.set_cookies == []
        assert ada.cookie == before
        assert ada.visit(lambda session: session.user_id) == ADA

    @pytest.mark.parametrize(
        "change",
        [
            look,
            put(n=1),
            lambda session: session.get_csrf_token(),
            lambda session: session.sign_in(ADA) or session.get_csrf_token(),
            lambda session: session.invalidate() or session.flash("over"),
            lambda session: session.rotate() or session.rotate(),
        ],
    )
    def test_there_is_one_at_most(self, shopper, change):
        shopper.visit(change)

        assert len(shopper.set_cookies) <= 1

    @pytest.mark.parametrize("change", [look, put(n=1), lambda session: session.user_id])
    def test_caches_are_told_that_the_page_is_one_persons(self, shopper, change):
        shopper.visit(change)

        assert "Cookie" in shopper.response.headers["Vary"]
        assert shopper.response.headers["Cache-Control"] == "no-store"


class TestParallelRequests:
    def test_changes_of_different_keys_merge(self, shopper):
        other = shopper.twin()

        shopper.visit(lambda session: session.update(a=1, n=2) or other.visit(put(b=2, list=[])))

        assert shopper.read() == {"a": 1, "b": 2, "n": 2, "list": []}

    def test_changes_of_the_same_key_are_a_conflict(self, shopper):
        other = shopper.twin()

        with pytest.raises(SessionConflict, match=str(shopper.row.id)):
            shopper.visit(lambda session: session.update(n=2) or other.visit(put(n=3)))

        assert shopper.read()["n"] == 3

    def test_a_conflict_is_run_again_with_the_row_locked(self, shopper):
        retrying, other = Browser(shopper.store, attempts=3), shopper.twin()
        retrying.cookie = shopper.cookie

        def increment(session):
            session["n"] += 1
            runs.append("run")
            if len(runs) == 1:
                other.visit(lambda session: session.update(n=session["n"] + 10))

        runs: list[str] = []
        retrying.visit(increment)

        assert shopper.read()["n"] == 12
        assert runs == ["run", "run"]
        assert shopper.store.calls.count("load and lock") == 1

    def test_in_place_changes_of_the_same_list_are_a_conflict_too(self, shopper):
        other = shopper.twin()

        def append_both(session):
            session["list"].append(2)
            other.visit(lambda session: session["list"].append(3))

        with pytest.raises(SessionConflict):
            shopper.visit(append_both)

        assert shopper.read()["list"] == [1, 3]

    def test_a_late_write_does_not_bring_back_a_session_that_was_ended(self, ada):
        other = ada.twin()

        ada.visit(lambda s: s.update(n=2) or other.visit(lambda session: session.invalidate()))

        assert ada.store.rows == {}
        assert ada.cookie is None

    def test_nor_does_a_late_rotation(self, ada):
        other = ada.twin()

        ada.visit(lambda s: s.rotate() or other.visit(lambda session: session.invalidate()))

        assert ada.store.rows == {}
        assert ada.cookie is None

    def test_a_late_write_leaves_the_newer_token_alone(self, ada):
        other = ada.twin()

        ada.visit(lambda session: session.update(n=2) or other.visit(lambda s: s.rotate()))

        assert ada.set_cookies == []
        assert other.read() == {"n": 2}

    def test_nothing_is_written_into_a_session_that_became_somebodys_meanwhile(self, shopper):
        """Whoever has planted a session must not put anything into it once a victim signs in."""
        planted = shopper.twin()

        planted.visit(lambda s: s.update(n=2) or shopper.visit(lambda t: t.sign_in(ADA)))

        assert planted.set_cookies == []
        assert shopper.read() == {"n": 1, "list": [1]}

    def test_a_sign_in_stands_although_the_visitors_session_was_ended(self, shopper):
        other = shopper.twin()

        shopper.visit(lambda s: s.sign_in(ADA) or other.visit(lambda session: session.invalidate()))

        assert shopper.visit(lambda session: session.user_id) == ADA
        assert shopper.read() == {}

    def test_two_sign_ins_at_once_both_stand(self, shopper):
        other = shopper.twin()

        shopper.visit(lambda s: s.sign_in(ADA) or other.visit(lambda session: session.sign_in(ADA)))

        assert shopper.visit(lambda session: session.user_id) == ADA
        assert other.visit(lambda session: session.user_id) == ADA


class TestRedirects:
    def test_one_that_is_returned_keeps_what_was_changed(self, browser):
        browser.visit(lambda session: session.sign_in(ADA))

        assert browser.visit(lambda session: session.user_id) == ADA

    @pytest.mark.parametrize(
        "change",
        [
            put(n=2),
            lambda session: session.sign_in(BO),
            lambda session: session.invalidate(),
            lambda session: session.rotate(),
            lambda session: session["list"].append(2),
        ],
    )
    def test_one_that_is_raised_does_not_silently_lose_it(self, shopper, change):
        def change_and_leave(session):
            change(session)
            raise HTTPSeeOther("/")

        with pytest.raises(SessionLost, match="HTTPSeeOther was raised"):
            shopper.visit(change_and_leave)

    @pytest.mark.parametrize("change", [look, lambda session: session.get_csrf_token()])
    def test_one_that_is_raised_where_nothing_was_changed_is_fine(self, shopper, change):
        def look_and_leave(session):
            change(session)
            raise HTTPSeeOther("/")

        shopper.visit(look_and_leave)

        assert shopper.response.status_int == 303


class TestRolling:
    ROLLING = load_session_settings(RAW | {"session.rolling": "true"})

    def test_the_cookie_is_sent_again_with_each_touch(self):
        store = InMemorySessionStore(self.ROLLING)
        browser = Browser(store, self.ROLLING)
        browser.visit(lambda session: session.sign_in(ADA))
        before = browser.cookie

        store.let_pass(timedelta(days=1))
        browser.visit(look)
        assert "Max-Age" in browser.set_cookies[0]
        assert browser.cookie == before

        browser.visit(look)
        assert browser.set_cookies == []

    def test_and_not_otherwise(self, ada):
        ada.store.let_pass(timedelta(days=1))

        ada.visit(look)

        assert ada.set_cookies == []


class TestModes:
    """Views may be declared with `session="…"`."""

    def test_a_read_only_one_reads(self, shopper):
        assert shopper.visit(dict, mode=SessionMode.READONLY) == {"n": 1, "list": [1]}

    @pytest.mark.parametrize(
        "change",
        [put(n=2), lambda s: s.flash("x"), lambda s: s.rotate(), lambda s: s.invalidate()],
    )
    def test_and_does_not_write(self, shopper, change):
        with pytest.raises(SessionNotWritable, match='session="readonly"'):
            shopper.visit(change, mode=SessionMode.READONLY)

        assert shopper.read() == {"n": 1, "list": [1]}

    def test_one_that_is_no_use_leaves_no_trace(self, shopper):
        shopper.store.let_pass(timedelta(minutes=10))

        shopper.visit(look, mode=SessionMode.NO_TOUCH)

        assert shopper.store.calls == ["load"]

    def test_and_may_write_all_the_same(self, shopper):
        shopper.visit(put(n=2), mode=SessionMode.NO_TOUCH)

        assert shopper.read()["n"] == 2

    def test_one_that_does_without_never_loads_it(self, ada):
        assert ada.visit(lambda s: (s.user_id, s.owner, s.id), mode=SessionMode.NONE) == (None,) * 3

        assert ada.store.calls == []

    @pytest.mark.parametrize(
        "use",
        [
            look,
            dict,
            lambda session: session.get_csrf_token(),
            lambda session: session.new_csrf_token(),
            lambda session: session.flash("x"),
            lambda session: session.rotate(),
        ],
    )
    def test_and_may_not_use_it(self, ada, use):
        with pytest.raises((SessionNotAllowed, SessionNotWritable), match='session="none"'):
            ada.visit(use, mode=SessionMode.NONE)

    @pytest.mark.parametrize(
        "use",
        [
            lambda session: session.user_id,
            lambda session: session.get_csrf_token(),
            lambda session: session.invalidate(),
        ],
    )
    def test_nor_does_it_sign_anybody_out(self, ada, use):
        before = ada.cookie

        with suppress(SessionNotAllowed, SessionNotWritable):
            ada.visit(use, mode=SessionMode.NONE)

        assert ada.cookie == before
        assert ada.visit(lambda session: session.user_id) == ADA


def and_fail(change):
    def view(session):
        change(session)
        raise HTTPForbidden

    return view


class TestSaveNow:
    def test_what_is_saved_now_outlives_the_request_that_fails(self, shopper):
        shopper.visit(and_fail(lambda s: (s.update(n=2), s.save_now(), s.update(n=3))))

        assert shopper.read()["n"] == 2

    def test_so_does_a_new_session_and_its_cookie(self, browser):
        browser.visit(and_fail(lambda s: (s.update(n=1), s.save_now())))

        assert browser.read() == {"n": 1}

    def test_so_does_a_sign_in(self, browser):
        browser.visit(and_fail(lambda s: (s.sign_in(ADA), s.save_now())))

        assert browser.visit(lambda session: session.user_id) == ADA

    def test_so_does_an_end(self, ada):
        ada.visit(and_fail(lambda s: (s.invalidate(), s.save_now())))

        assert ada.store.rows == {}
        assert ada.cookie is None

    def test_a_redirect_may_be_raised_afterwards(self, shopper):
        def save_and_leave(session):
            session["n"] = 2
            session.save_now()
            raise HTTPSeeOther("/")

        shopper.visit(save_and_leave)

        assert shopper.response.status_int == 303
        assert shopper.read()["n"] == 2

    def test_later_changes_are_written_by_the_commit(self, shopper):
        shopper.visit(lambda s: (s.update(n=2), s.save_now(), s.update(n=3, m=1)))

        assert shopper.read() == {"n": 3, "m": 1, "list": [1]}

    def test_values_that_were_handed_out_may_still_be_changed(self, shopper):
        def change(session):
            values = session["list"]
            values.append(2)
            session.save_now()
            values.append(3)

        shopper.visit(change)

        assert shopper.read()["list"] == [1, 2, 3]

    def test_saving_nothing_writes_nothing(self, shopper):
        shopper.visit(lambda session: (look(session), session.save_now()))

        assert shopper.store.calls == ["load"]

    def test_a_conflict_is_raised_there(self, shopper):
        other = shopper.twin()

        def change(session):
            session["n"] = 2
            other.visit(put(n=3))
            with pytest.raises(SessionConflict):
                session.save_now()
            raise HTTPForbidden

        shopper.visit(change)

        assert shopper.read()["n"] == 3

    def test_a_session_that_was_ended_meanwhile_does_not_come_back(self, ada):
        other = ada.twin()

        def change(session):
            session["n"] = 2
            other.visit(lambda session: session.invalidate())
            session.save_now()
            return session.user_id, dict(session)

        assert ada.visit(change) == (None, {})
        assert ada.store.rows == {}
        assert ada.cookie is None


class TestFlush:
    def test_a_new_session_has_its_id_at_once(self, browser):
        flushed = browser.visit(lambda session: session.update(n=1) or session.flush())

        assert browser.row.id == flushed
        assert browser.read() == {"n": 1}

    def test_even_one_without_content(self, browser):
        flushed = browser.visit(lambda session: session.flush())

        assert browser.visit(lambda session: session.id) == flushed

    def test_later_changes_are_written_too(self, shopper):
        shopper.visit(lambda s: (s.update(n=2), s.flush(), s.update(n=3), s["list"].append(2)))

        assert shopper.read() == {"n": 3, "list": [1, 2]}

    def test_a_sign_in_goes_with_it(self, shopper):
        before = shopper.cookie

        shopper.visit(lambda session: (session.sign_in(ADA), session.flush()))

        assert shopper.cookie != before
        assert shopper.visit(lambda session: (session.user_id, session["n"])) == (ADA, 1)

    def test_no_cookie_is_set_where_the_commit_fails(self, browser):
        with pytest.raises(CommitFailed):
            browser.visit(lambda s: (s.update(n=1), s.flush()), fail_commit=True)

        assert browser.cookie is None

    def test_nothing_is_written_for_a_session_that_is_stored_and_unchanged(self, shopper):
        shopper.visit(lambda session: session.flush())

        assert shopper.store.calls == ["load"]

    def test_nothing_is_kept_in_a_session_that_was_ended_meanwhile(self, ada):
        other = ada.twin()

        def change(session):
            session["n"] = 2
            other.visit(lambda session: session.invalidate())
            return session.flush()

        assert ada.visit(change) is None
        assert ada.store.rows == {}
        assert ada.cookie is None


class TestReload:
    def test_what_has_not_been_written_is_forgotten(self, shopper):
        def change(session):
            session.update(n=2, m=3)
            session["list"].append(2)
            session.reload()
            return dict(session)

        assert shopper.visit(change) == {"n": 1, "list": [1]}
        assert shopper.read() == {"n": 1, "list": [1]}

    def test_what_others_have_written_is_seen(self, shopper):
        other = shopper.twin()

        def wait(session):
            before = session["n"]
            other.visit(put(n=2))
            session.reload()
            return before, session["n"]

        assert shopper.visit(wait) == (1, 2)

    def test_a_sign_in_is_forgotten(self, shopper):
        assert shopper.visit(lambda s: s.sign_in(ADA) or s.reload() or s.user_id) is None
        assert shopper.set_cookies == []
        assert shopper.row.user_id is None

    def test_so_is_an_end(self, ada):
        assert ada.visit(lambda s: s.invalidate() or s.reload() or s.user_id) == ADA
        assert ada.visit(lambda session: session.user_id) == ADA
