"""Pyramid's ISession to the letter."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pyramid.interfaces import ISession, ISessionFactory
from zope.interface.verify import verifyObject

from authapp.testing.browser import Browser
from authapp.testing.suite.base import SuiteFixtures

JSON_VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**70,
    0.0,
    1.5,
    -1e-9,
    1e15,
    "",
    "text",
    "é 漢字 🎲",
    '<a href="x">\'&;,\\ \n\t',
    [],
    [1, "two", None, [3.0]],
    {},
    {"a": {"b": [{"c": None}]}, "": "empty key", "é": 1},
]
TAGGED_VALUES = [
    datetime(2026, 1, 2, 3, 4, 5, 678901),  # noqa: DTZ001  # Naive ones come back naive.
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    date(2026, 1, 2),
    UUID("01234567-89ab-cdef-0123-456789abcdef"),
    Decimal("12345678901234567890.10"),
    b"",
    b"\x00\xff bytes",
    {"nested": [date(2026, 1, 2), {"deeper": b"\x00"}]},
    {"$date": "what looks like a tag of the store's own"},
]


class Odd:
    """Nothing that a session could keep."""


def _endless() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


ODD_VALUES = {
    "a set": {1, 2},
    "an object": Odd(),
    "an object inside": [Odd()],
    "a set deep inside": {"deep": [{1}]},
    "not a number": float("nan"),
    "a list that contains itself": _endless(),
    "a number of too many digits": 10**5000,
}


def _ior(session: Any) -> None:
    session |= {"a": 2, "c": 3}


def _delete(session: Any) -> None:
    del session["a"]


def _append(session: Any) -> None:
    session["list"].append(2)


def _set_deep_inside(session: Any) -> None:
    session["dict"]["deep"][0]["deeper"] = "changed"


# Of a session that has a = 1 and b = 2: what is done, what it gives, and what is left.
WAYS_TO_WRITE: dict[str, tuple[Callable[[Any], Any], Any, dict[str, Any]]] = {
    "set": (lambda s: s.__setitem__("a", 2), None, {"a": 2, "b": 2}),
    "delete": (_delete, None, {"b": 2}),
    "update by a mapping": (lambda s: s.update({"a": 3, "c": 4}), None, {"a": 3, "b": 2, "c": 4}),
    "update by keywords": (lambda s: s.update(c=3), None, {"a": 1, "b": 2, "c": 3}),
    "update by pairs": (lambda s: s.update([("b", 3)]), None, {"a": 1, "b": 3}),
    "|=": (_ior, None, {"a": 2, "b": 2, "c": 3}),
    "setdefault of an old key": (lambda s: s.setdefault("a", 9), 1, {"a": 1, "b": 2}),
    "setdefault of a new key": (lambda s: s.setdefault("c", 9), 9, {"a": 1, "b": 2, "c": 9}),
    "pop": (lambda s: s.pop("a"), 1, {"b": 2}),
    "pop with a default": (lambda s: s.pop("c", "default"), "default", {"a": 1, "b": 2}),
    "clear": (lambda s: s.clear(), None, {}),
}
WAYS_TO_READ: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "[]": (lambda s: s["a"], 1),
    "get": (lambda s: s.get("a"), 1),
    "get of nothing": (lambda s: s.get("c"), None),
    "get with a default": (lambda s: s.get("c", 3), 3),
    "in": (lambda s: "a" in s, True),
    "not in": (lambda s: "c" in s, False),
    "iter": (lambda s: sorted(s), ["a", "b"]),
    "keys": (lambda s: sorted(s.keys()), ["a", "b"]),
    "values": (lambda s: sorted(s.values()), [1, 2]),
    "items": (lambda s: sorted(s.items()), [("a", 1), ("b", 2)]),
    "len": (len, 2),
    "dict": (dict, {"a": 1, "b": 2}),
}


class Conformance(SuiteFixtures):
    def test_the_factory_provides_its_interface(self, browser: Browser) -> None:
        """The factory that the application registered has what ISessionFactory asks for."""
        factory = browser.run(lambda request: request.registry.getUtility(ISessionFactory))

        assert verifyObject(ISessionFactory, factory, tentative=True)

    def test_a_session_provides_its_interface(self, browser: Browser) -> None:
        """Every method and attribute of ISession is there, and takes what it must."""
        assert browser.run(lambda request: verifyObject(ISession, request.session))

    def test_a_new_session_is_empty(self, browser: Browser) -> None:
        """A visitor without a cookie has a session with nothing in it."""
        assert browser.run(lambda request: dict(request.session)) == {}

    def test_a_session_is_new_until_it_is_stored(self, browser: Browser) -> None:
        """`new` is true in the first request, and false once the browser brings the session."""
        assert browser.run(lambda r: (r.session.update(a=1), r.session.new)[1]) is True
        assert browser.run(lambda request: request.session.new) is False

    def test_created_survives(self, browser: Browser) -> None:
        """`created` is an integer, of now, and stays the same whatever is written later."""
        before = int(time.time())
        created = browser.run(lambda r: (r.session.update(a=1), r.session.created)[1])

        assert isinstance(created, int)
        assert before - 1 <= created <= time.time() + 1
        stored = browser.run(lambda request: request.session.created)
        assert abs(stored - created) <= 1
        browser.run(lambda request: request.session.update(a=2))
        assert browser.run(lambda request: request.session.created) == stored

    @pytest.mark.parametrize("value", JSON_VALUES, ids=repr)
    def test_json_values_come_back(self, browser: Browser, value: Any) -> None:
        """What JSON can carry comes back in the next request, equal and of the same type."""
        browser.run(lambda request: request.session.update(key=value))

        back = browser.run(lambda request: request.session["key"])

        assert back == value
        assert type(back) is type(value)

    @pytest.mark.parametrize("value", TAGGED_VALUES, ids=repr)
    def test_tagged_values_come_back(self, browser: Browser, value: Any) -> None:
        """So do datetime, date, UUID, Decimal and bytes, also inside of other values."""
        browser.run(lambda request: request.session.update(key=value))

        back = browser.run(lambda request: request.session["key"])

        assert back == value
        assert type(back) is type(value)

    @pytest.mark.parametrize("odd", ODD_VALUES)
    def test_other_values_are_refused_by_name(self, browser: Browser, odd: str) -> None:
        """A value that the store cannot keep is an error that names the key; nothing is kept."""
        value = ODD_VALUES[odd]

        answer = browser.answer(lambda request: request.session.update(basket=value))

        assert answer.status == 500
        assert answer.error is None or "basket" in str(answer.error)
        assert browser.run(lambda request: dict(request.session)) == {}

    @pytest.mark.parametrize("way", WAYS_TO_WRITE)
    def test_the_mapping_is_written(self, browser: Browser, way: str) -> None:
        """Every method of a mapping that changes it changes what the next request reads."""
        act, gives, left = WAYS_TO_WRITE[way]
        browser.run(lambda request: request.session.update(a=1, b=2))

        assert browser.run(lambda request: act(request.session)) == gives
        assert browser.run(lambda request: dict(request.session)) == left

    @pytest.mark.parametrize("way", WAYS_TO_READ)
    def test_the_mapping_is_read(self, browser: Browser, way: str) -> None:
        """Every method of a mapping that reads it reads what an earlier request wrote."""
        read, gives = WAYS_TO_READ[way]
        browser.run(lambda request: request.session.update(a=1, b=2))

        assert browser.run(lambda request: read(request.session)) == gives

    def test_what_was_written_is_read_in_the_same_request(self, browser: Browser) -> None:
        """A request sees its own changes at once."""

        def write_and_read(request: Any) -> Any:
            request.session["a"] = 1
            request.session["b"] = 2
            del request.session["a"]
            return dict(request.session)

        assert browser.run(write_and_read) == {"b": 2}

    def test_popitem(self, browser: Browser) -> None:
        """`popitem` takes one of the items, and only that."""
        browser.run(lambda request: request.session.update(a=1, b=2))

        key, value = browser.run(lambda request: request.session.popitem())

        left = browser.run(lambda request: dict(request.session))
        assert {**left, key: value} == {"a": 1, "b": 2}
        assert len(left) == 1

    @pytest.mark.parametrize(
        "act", [lambda s: s["none"], lambda s: s.pop("none"), lambda s: s.__delitem__("none")]
    )
    def test_a_missing_key_is_a_key_error(
        self, browser: Browser, act: Callable[[Any], Any]
    ) -> None:
        """What is not there is a KeyError, as in any mapping."""

        def view(request: Any) -> None:
            with pytest.raises(KeyError):
                act(request.session)

        browser.run(view)

    @pytest.mark.parametrize("change", [_append, _set_deep_inside])
    def test_changes_inside_of_values_are_noticed(
        self, browser: Browser, change: Callable[[Any], None]
    ) -> None:
        """A value that is changed in place is written, without a call of `changed()`."""
        start = {"list": [1], "dict": {"deep": [{"deeper": "old"}]}}
        browser.run(lambda request: request.session.update(start))

        browser.run(lambda request: change(request.session))

        changed = {"list": [1], "dict": {"deep": [{"deeper": "old"}]}}
        change(changed)
        assert browser.run(lambda request: dict(request.session)) == changed

    def test_changed_may_be_called(self, browser: Browser) -> None:
        """`changed()` after a change in place does what Pyramid says that it does."""
        browser.run(lambda request: request.session.update(list=[1]))

        browser.run(lambda r: (r.session["list"].append(2), r.session.changed()))

        assert browser.run(lambda request: request.session["list"]) == [1, 2]

    def test_a_value_that_was_stored_is_no_longer_the_views(self, browser: Browser) -> None:
        """What is changed after the request has ended changes no session."""
        mine = [1]
        browser.run(lambda request: request.session.update(list=mine))

        mine.append(2)

        assert browser.run(lambda request: request.session["list"]) == [1]

    def test_two_browsers_have_two_sessions(self, browser: Browser) -> None:
        """Nobody sees what somebody else's session holds."""
        other = browser.fresh()
        browser.run(lambda request: request.session.update(a=1))
        other.run(lambda request: request.session.update(b=2))

        assert browser.run(lambda request: dict(request.session)) == {"a": 1}
        assert other.run(lambda request: dict(request.session)) == {"b": 2}

    # Invalidating.

    def test_invalidate_empties_the_session(self, browser: Browser) -> None:
        """After `invalidate()` the session is empty, in the same request and in the next."""
        browser.run(lambda request: request.session.update(a=1))

        assert browser.run(lambda r: (r.session.invalidate(), dict(r.session))[1]) == {}
        assert browser.run(lambda request: dict(request.session)) == {}

    def test_an_invalidated_session_can_be_used_again(self, browser: Browser) -> None:
        """What is set after `invalidate()` is in a new session, with nothing of the old one."""
        browser.run(lambda request: request.session.update(a=1))

        browser.run(lambda r: (r.session.invalidate(), r.session.update(b=2)))

        assert browser.run(lambda request: dict(request.session)) == {"b": 2}

    def test_a_new_session_can_be_invalidated(self, browser: Browser) -> None:
        """`invalidate()` takes back what the same request has set, and is no error twice."""

        def view(request: Any) -> None:
            request.session["a"] = 1
            request.session.invalidate()
            request.session.invalidate()

        browser.run(view)

        assert browser.run(lambda request: dict(request.session)) == {}

    # Flash messages.

    def test_a_message_is_shown_once(self, browser: Browser) -> None:
        """A message waits for the request that pops it, and no other shows it again."""
        browser.run(lambda request: request.session.flash("saved"))

        assert browser.run(lambda request: request.session.pop_flash()) == ["saved"]
        assert browser.run(lambda request: request.session.pop_flash()) == []

    def test_peeking_keeps_the_messages(self, browser: Browser) -> None:
        """`peek_flash` shows what waits, and leaves it."""
        browser.run(lambda request: request.session.flash("saved"))

        assert browser.run(lambda request: request.session.peek_flash()) == ["saved"]
        assert browser.run(lambda request: request.session.peek_flash()) == ["saved"]

    def test_messages_keep_their_order(self, browser: Browser) -> None:
        """Messages of one request and of several are shown in the order they came in."""
        browser.run(lambda r: (r.session.flash("one"), r.session.flash("two")))
        browser.run(lambda request: request.session.flash("three"))

        assert browser.run(lambda r: r.session.pop_flash()) == ["one", "two", "three"]

    def test_queues_are_apart(self, browser: Browser) -> None:
        """Each queue has its own messages, and popping one leaves the others."""
        browser.run(lambda r: (r.session.flash("plain"), r.session.flash("red", "error")))

        assert browser.run(lambda request: request.session.pop_flash("error")) == ["red"]
        assert browser.run(lambda request: request.session.pop_flash("other")) == []
        assert browser.run(lambda request: request.session.pop_flash()) == ["plain"]

    def test_duplicates_are_kept_unless_they_are_not_wanted(self, browser: Browser) -> None:
        """The same message twice is two, but for `allow_duplicate=False`."""

        def view(request: Any) -> Any:
            request.session.flash("a")
            request.session.flash("a")
            request.session.flash("a", allow_duplicate=False)
            request.session.flash("b", allow_duplicate=False)
            request.session.flash("b", "", False)
            return request.session.peek_flash()

        assert browser.run(view) == ["a", "a", "b"]
        assert browser.run(lambda request: request.session.pop_flash()) == ["a", "a", "b"]

    def test_messages_may_be_more_than_text(self, browser: Browser) -> None:
        """Whatever a session can keep can be a message."""
        message = {"text": "saved", "items": [1, None]}
        browser.run(lambda request: request.session.flash(message))

        assert browser.run(lambda request: request.session.pop_flash()) == [message]
