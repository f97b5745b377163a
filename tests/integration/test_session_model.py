"""The session against a plain dict: whatever two browsers do, in requests that overlap.

Hypothesis picks what happens; the real application, transactions and database do it; the model,
a few lines of Python, says what must come of it. Requests of the two browsers are under way at
the same time, and each is run again by pyramid_retry when it has lost a race.
"""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from queue import Queue
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pyramid.httpexceptions import HTTPForbidden
from sqlalchemy import text

from authapp.testing.browser import PATIENCE_SECONDS, Browser
from authapp.testing.views import INCLUDE
from tests.conftest import SITE
from tests.integration.session_apps import AloneApps

CLIENTS = st.sampled_from([0, 1])
KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from([None, 0, 1, 2.5, "text", [], [1], {"deep": [1]}])

# What can be done to a mapping, be it a session or a dict.


def set_key(key, value):
    return lambda mapping: mapping.__setitem__(key, deepcopy(value))


def delete(key):
    return lambda mapping: mapping.pop(key, None)


def increment(key):
    def act(mapping):
        value = mapping.get(key)
        mapping[key] = value + 1 if isinstance(value, int) else 1

    return act


def grow(key):
    """Changes a value in place, if there is one that can be."""

    def act(mapping):
        value = mapping.get(key)
        if isinstance(value, list):
            value.append(len(value))
        elif isinstance(value, dict):
            value["deep"].append("more")

    return act


def merge(key, other, value):
    def act(mapping):
        mapping |= {key: deepcopy(value), other: deepcopy(value)}

    return act


CHANGES = st.one_of(
    st.builds(set_key, KEYS, VALUES),
    st.builds(delete, KEYS),
    st.builds(increment, KEYS),
    st.builds(grow, KEYS),
    st.builds(merge, KEYS, KEYS, VALUES),
    st.just(lambda mapping: mapping.clear()),
)

STEPS = st.one_of(
    *[st.tuples(st.just("change"), CHANGES)] * 4,
    st.tuples(st.just("rotate")),
    st.tuples(st.just("invalidate")),
)
ENDS = st.sampled_from(
    [
        [(0, "commit"), (1, "commit")],
        [(1, "commit"), (0, "commit")],
        [(0, "abort"), (1, "commit")],
    ]
)


class Stored:
    """What is stored of a session, in the model. Each rotation makes another token."""

    def __init__(self, data):
        self.data = data
        self.token = 0
        self.is_live = True

    def holds(self, token):
        return self.is_live and self.token == token


class ModelRequest:
    """What a request does, in the model: `cookie` is a session and a token, or None."""

    def __init__(self, cookie):
        self.cookie = cookie
        self.steps = []
        self._load()

    def _load(self):
        self.cookie = live(self.cookie)
        self.stored = self.cookie[0] if self.cookie else None
        self.before = deepcopy(self.stored.data) if self.stored else {}
        self.data = deepcopy(self.before)
        self.ended = None
        self.is_rotated = False

    def step(self, name, act=None):
        self.steps.append((name, act))
        if name == "change":
            act(self.data)
        elif name == "rotate":
            self.is_rotated = self.stored is not None
        elif name == "invalidate":
            self.ended = self.ended or self.stored
            self.stored, self.before, self.data, self.is_rotated = None, {}, {}, False

    def abort(self):
        """Returns the cookie that the browser has afterwards."""
        return self.cookie

    def commit(self):
        """The same; what was stored meanwhile decides what becomes of it."""
        if self.ended is not None:
            self.ended.is_live = False
            self.cookie = None
        if self.stored is None:
            return (Stored(self.data), 0) if self.data else self.cookie
        changed = self._changed()
        if not changed and not self.is_rotated:
            return self.cookie
        if not self.stored.is_live:
            return None
        is_late = not self.stored.holds(self.cookie[1])
        is_lost = any(not same(self.stored.data, self.before, key) for key in changed)
        if is_late and (is_lost or self.is_rotated):
            return self.cookie
        if is_lost:
            return self._run_again()
        for key in changed:
            self.stored.data.pop(key, None)
            if key in self.data:
                self.stored.data[key] = deepcopy(self.data[key])
        if not self.is_rotated:
            return self.cookie
        self.stored.token += 1
        return (self.stored, self.stored.token)

    def _run_again(self):
        steps, self.steps = self.steps, []
        self._load()
        for name, act in steps:
            self.step(name, act)
        return self.commit()

    def _changed(self):
        keys = {**self.before, **self.data}
        return {key for key in keys if not same(self.before, self.data, key)}


def live(cookie):
    """The cookie, if there is a session that it is the token of."""
    return cookie if cookie is not None and cookie[0].holds(cookie[1]) else None


def same(one, other, key):
    """Whether two dicts have the same, or nothing, under a key; to JSON, 1 is not True."""
    if key not in one or key not in other:
        return key not in one and key not in other
    return repr(one[key]) == repr(other[key])


class RealRequest:
    """A request that is under way on a thread, and does what it is told, one step at a time."""

    def __init__(self, browser, thread):
        self._steps: Queue[Any] = Queue()
        self._results: Queue[Any] = Queue()
        self._done = []
        self._end = None
        self._answer = thread.submit(browser.answer, self._view)
        self.content = self._result()

    def step(self, name, act=None):
        self._steps.put((name, act))
        self.content = self._result()

    def finish(self, end):
        self._steps.put((end, None))
        return self._answer.result(PATIENCE_SECONDS)

    def _result(self):
        return self._results.get(timeout=PATIENCE_SECONDS)

    def _view(self, request):
        session = request.session
        if self._end is not None:
            # Run again: it was lost to another request, and does the same once more.
            for name, act in self._done:
                self._act(session, name, act)
            return
        self._results.put(deepcopy(dict(session)))
        while True:
            name, act = self._steps.get(timeout=PATIENCE_SECONDS)
            if name in {"commit", "abort"}:
                self._end = name
                if name == "abort":
                    raise HTTPForbidden
                return
            self._done.append((name, act))
            self._act(session, name, act)
            self._results.put(deepcopy(dict(session)))

    def _act(self, session, name, act):
        if name == "change":
            act(session)
        else:
            getattr(session, name)()


class Sessions(RuleBasedStateMachine):
    def __init__(self, apps):
        super().__init__()
        apps.empty()
        self._engine = apps.engine
        self._threads = ThreadPoolExecutor(2)
        app = apps.make(INCLUDE, {})
        self.browsers = [Browser(app, SITE), Browser(app, SITE)]
        self.cookies: list[Any] = [None, None]
        self.real: list[Any] = [None, None]
        self.model: list[Any] = [None, None]
        self.known: list[Stored] = []

    def teardown(self):
        for real in filter(None, self.real):
            real.finish("abort")
        self._threads.shutdown()

    def _is_idle(self):
        return self.real == [None, None]

    @initialize()
    def start_with_one_session(self):
        self.visit(0, [set_key("a", 1), set_key("b", [1])])
        self.share_the_cookie()

    @rule(client=CLIENTS, acts=st.lists(CHANGES, min_size=1, max_size=3))
    def visit(self, client, acts):
        for act in acts:
            self._step(client, "change", act)
        self._finish(client, "commit")

    @precondition(_is_idle)
    @rule(steps=st.lists(st.tuples(CLIENTS, STEPS), min_size=2, max_size=6), ends=ENDS)
    def race(self, steps, ends):
        """Both work on the same session at the same time."""
        self.share_the_cookie()
        self._begin(0)
        self._begin(1)
        for client, step in steps:
            self._step(client, *step)
        for client, end in ends:
            self._finish(client, end)

    @rule(client=CLIENTS, act=CHANGES)
    def change(self, client, act):
        self._step(client, "change", act)

    @rule(client=CLIENTS)
    def rotate(self, client):
        self._step(client, "rotate")

    @rule(client=CLIENTS)
    def invalidate(self, client):
        self._step(client, "invalidate")

    @rule(client=CLIENTS)
    def commit(self, client):
        self._finish(client, "commit")

    @rule(client=CLIENTS)
    def abort(self, client):
        self._finish(client, "abort")

    @precondition(_is_idle)
    @rule()
    def share_the_cookie(self):
        """From here on both browsers have the same session, as two tabs of one browser do."""
        if self.cookies[0] is None:
            # A rotation has given a cookie to a visitor without a session. Two tabs that had it
            # would start one session together, where the model knows of two that have nothing.
            self.browsers[0].cookies = {}
        self.browsers[1].cookies = dict(self.browsers[0].cookies)
        self.cookies[1] = self.cookies[0]

    @precondition(_is_idle)
    @rule(client=CLIENTS)
    def forget_the_cookie(self, client):
        self.browsers[client].cookies = {}
        self.cookies[client] = None

    @precondition(_is_idle)
    @invariant()
    def the_next_request_reads_what_the_model_says(self):
        for browser, cookie in zip(self.browsers, self.cookies, strict=True):
            read = browser.copy().run(lambda request: dict(request.session))
            assert repr_of(read) == repr_of(cookie[0].data if live(cookie) else {})

    @precondition(_is_idle)
    @invariant()
    def there_are_as_many_rows_as_live_sessions(self):
        with self._engine.connect() as connection:
            rows = connection.scalar(text("SELECT count(*) FROM sessions"))
        assert rows == sum(stored.is_live for stored in self.known)

    def _step(self, client, name, act=None):
        self._begin(client)
        self.model[client].step(name, act)
        self.real[client].step(name, act)
        self._compare(client)

    def _begin(self, client):
        if self.real[client] is None:
            self.model[client] = ModelRequest(self.cookies[client])
            self.real[client] = RealRequest(self.browsers[client], self._threads)
            self._compare(client)

    def _compare(self, client):
        assert repr_of(self.real[client].content) == repr_of(self.model[client].data)

    def _finish(self, client, end):
        self._begin(client)
        real, model = self.real[client], self.model[client]
        self.real[client] = None
        answer = real.finish(end)
        assert answer.status == (200 if end == "commit" else 403), answer.error
        self.cookies[client] = getattr(model, end)()
        if self.cookies[client] is not None and self.cookies[client][0] not in self.known:
            self.known.append(self.cookies[client][0])


def repr_of(data):
    """To Python 1 and True are equal, and the order of keys is nobody's business."""
    return sorted((key, repr(value)) for key, value in data.items())


@pytest.fixture(scope="module")
def apps(database_url):
    apps = AloneApps(database_url, "model")
    yield apps
    apps.dispose()


@pytest.mark.timeout(600)  # To make an example that fails small takes a while.
def test_sessions_are_dicts(apps):
    machine: Any = lambda: Sessions(apps)  # noqa: E731  # It wants a class, and calls it.
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
