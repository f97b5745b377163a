"""What the sessions offer beyond Pyramid's interface, on a real database."""

import gc
from contextlib import suppress
from typing import Any

import pytest
from pyramid.csrf import get_csrf_token
from pyramid.httpexceptions import HTTPForbidden, HTTPFound
from pyramid_retry import RetryableException
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from authapp.sessions import SessionNotAllowed, SessionNotWritable, SessionTooLarge
from authapp.testing.browser import Browser, Meeting, Pause, View, statuses
from authapp.testing.views import INCLUDE, run
from tests.conftest import SITE
from tests.integration.session_apps import SECRET, AloneApps, Person, StoredUsers, statement_counter

PARALLEL = 10
LIFETIME_SECONDS = "2592000"
OTHER_SECRET = "another secret, of at least 32 characters"


def put_b(request):
    request.session["b"] = 2


def rotate(request):
    request.session.rotate()


def invalidate(request):
    request.session.invalidate()


def include(config):
    """The suite's page, and once more for each mode."""
    config.include(INCLUDE)
    for mode in ("none", "readonly", "no_touch"):
        config.add_route(mode, f"/{mode}")
        config.add_view(run, route_name=mode, session=mode, require_csrf=False)
    config.add_route("guarded", "/guarded")
    config.add_view(run, route_name="guarded", session="none", require_csrf=True)


@pytest.fixture(scope="module")
def apps(database_url):
    apps = AloneApps(database_url, "features", pool_size=PARALLEL)
    yield apps
    apps.dispose()


@pytest.fixture
def db(apps):
    apps.empty()
    with apps.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@pytest.fixture
def make_browser(apps, db):
    def make(site=SITE, **settings):
        dotted = {key.replace("__", "."): value for key, value in settings.items()}
        return Browser(apps.make(include, dotted), site)

    return make


@pytest.fixture
def browser(make_browser):
    return make_browser()


@pytest.fixture
def users(apps, db):
    return StoredUsers(apps.add_users())


def row(db):
    return db.execute(text("SELECT * FROM sessions")).one()


def count(db):
    return db.scalar(text("SELECT count(*) FROM sessions"))


def let_pass(db, interval):
    """The database's clock is what counts, so everything becomes older instead."""
    db.execute(
        text(
            "UPDATE sessions SET created_at = created_at - CAST(:past AS interval), "
            "last_seen_at = last_seen_at - CAST(:past AS interval), "
            "expires_at = expires_at - CAST(:past AS interval)"
        ),
        {"past": interval},
    )


def start(browser, **data):
    browser.run(lambda request: request.session.update(data or {"a": 1}))


def content(browser):
    return browser.run(lambda request: dict(request.session))


class TestNone:
    def test_the_content_is_out_of_bounds(self, browser):
        start(browser)

        for use in (
            lambda s: dict(s),
            lambda s: s.get("a"),
            lambda s: s.__setitem__("b", 1),
            lambda s: s.flash("message"),
            lambda s: s.peek_flash(),
        ):
            answer = browser.answer(lambda request, use=use: use(request.session), "/none")
            assert isinstance(answer.error, (SessionNotAllowed, SessionNotWritable))
            assert 'session="none"' in str(answer.error)
        assert content(browser) == {"a": 1}

    def test_nobody_is_signed_in_there(self, browser, users):
        browser.run(lambda request: users.sign_in(request, 0))

        assert browser.run(users.current, "/none") is None
        assert browser.run(users.current) == 0

    def test_it_costs_no_statement_and_no_cookie(self, browser, apps):
        start(browser)

        with statement_counter(apps.engine)() as statements:
            answer = browser.answer(lambda request: request.session.user_id, "/none")

        assert answer.status == 200
        assert statements == []
        assert list(answer.cookies) == []

    @pytest.mark.parametrize(
        "use", [get_csrf_token, lambda request: request.session.invalidate()], ids=["csrf", "end"]
    )
    def test_no_use_of_it_replaces_the_cookie(self, browser, use):
        start(browser)
        cookies = dict(browser.cookies)

        browser.answer(use, "/none")

        assert browser.cookies == cookies
        assert content(browser) == {"a": 1}

    def test_a_form_that_is_refused_there_leaves_the_cookie_alone(self, browser):
        start(browser)
        cookies = dict(browser.cookies)
        token = browser.run(get_csrf_token)

        browser.answer(lambda r: None, "/guarded", method="POST", POST={"csrf_token": token})

        assert browser.cookies == cookies
        assert content(browser) == {"a": 1}


class TestReadonly:
    def test_it_can_be_read(self, browser):
        start(browser)

        assert browser.run(lambda request: dict(request.session), "/readonly") == {"a": 1}

    def test_it_cannot_be_written(self, browser, users):
        start(browser)
        browser.run(lambda request: request.session.flash("message"))
        before = content(browser)

        for use in (
            lambda r: r.session.update(b=1),
            lambda r: r.session.pop("a"),
            lambda r: r.session.clear(),
            lambda r: r.session.flash("another"),
            lambda r: r.session.pop_flash(),
            lambda r: r.session.changed(),
            lambda r: r.session.invalidate(),
            lambda r: r.session.rotate(),
            lambda r: r.session.save_now(),
            lambda r: users.sign_in(r, 0),
        ):
            answer = browser.answer(use, "/readonly")
            assert isinstance(answer.error, SessionNotWritable)
        assert content(browser) == before

    def test_a_visitors_form_works_there(self, browser):
        token = browser.run(get_csrf_token, "/readonly")

        assert browser.run(get_csrf_token) == token


class TestTouch:
    def test_use_is_written_down_once_an_interval(self, browser, db):
        start(browser)
        let_pass(db, "299 seconds")
        before = row(db).last_seen_at
        content(browser)
        assert row(db).last_seen_at == before

        let_pass(db, "1 second")
        content(browser)

        assert row(db).last_seen_at > before

    def test_a_view_without_touch_is_no_use(self, browser, db):
        start(browser)
        let_pass(db, "1 hour")
        before = row(db).last_seen_at

        browser.run(lambda request: dict(request.session), "/no_touch")
        assert row(db).last_seen_at == before

        browser.run(lambda request: request.session.update(a=2), "/no_touch")
        assert row(db).last_seen_at == before
        assert content(browser) == {"a": 2}

    def test_a_session_that_is_not_used_ends(self, browser, db):
        start(browser)
        let_pass(db, "14 days")

        answer = browser.answer(lambda request: dict(request.session))

        assert answer.value == {}
        assert [cookie.clears for cookie in answer.cookies] == [True]

    def test_a_session_that_is_used_ends_at_its_deadline(self, browser, db):
        start(browser)
        for _ in range(29):
            let_pass(db, "1 day")
            assert content(browser) == {"a": 1}
        let_pass(db, "1 day")

        assert content(browser) == {}

    def test_a_write_brings_no_session_back_that_expired_meanwhile(self, browser, db):
        start(browser)
        pause = Pause()

        def write_late(request):
            dict(request.session)
            pause(request)
            request.session["late"] = 1

        answer = pause.during(browser, write_late, lambda: let_pass(db, "30 days"))

        assert answer.status == 200
        assert browser.cookies == {}
        assert row(db).data == {"a": 1}


class TestRolling:
    @pytest.fixture
    def browser(self, make_browser):
        return make_browser(session__rolling="true")

    def test_use_moves_the_deadline_and_the_cookies(self, browser, db):
        start(browser)
        for _ in range(40):
            let_pass(db, "1 day")
            answer = browser.answer(lambda request: dict(request.session))
            assert answer.value == {"a": 1}
            assert [cookie.attributes["max-age"] for cookie in answer.cookies] == [LIFETIME_SECONDS]

    def test_use_moves_them_once_an_interval(self, browser, db):
        start(browser)
        let_pass(db, "299 seconds")
        before = row(db).expires_at

        answer = browser.answer(lambda request: dict(request.session))

        assert list(answer.cookies) == []
        assert row(db).expires_at == before

    def test_a_session_that_is_written_more_often_than_touched_lives_on(self, browser, db):
        """Four writes an interval, for longer than the lifetime, shortened here to one step."""
        start(browser, n=0)
        before = row(db).expires_at
        for _ in range(8):
            let_pass(db, "75 seconds")
            browser.run(lambda request: request.session.update(n=request.session["n"] + 1))

        # Ten minutes have passed, of which the deadline must have made up for five at least.
        assert (before - row(db).expires_at).total_seconds() <= 300

    def test_without_it_the_deadline_stays(self, make_browser, db):
        browser = make_browser()
        start(browser)
        let_pass(db, "1 day")
        before = row(db).expires_at

        answer = browser.answer(lambda request: dict(request.session))

        assert list(answer.cookies) == []
        assert row(db).expires_at == before


class TestPersistent:
    def test_a_session_outlives_the_browser(self, browser, db):
        [cookie] = browser.answer(lambda request: request.session.update(a=1)).cookies

        assert cookie.attributes["max-age"] == LIFETIME_SECONDS
        assert row(db).persistent
        assert browser.run(lambda request: request.session.persistent) is True

    def test_it_can_be_told_not_to(self, browser, db):
        def view(request):
            request.session["a"] = 1
            request.session.persistent = False

        [cookie] = browser.answer(view).cookies

        assert not {"max-age", "expires"} & cookie.attributes.keys()
        assert not row(db).persistent
        assert browser.run(lambda request: request.session.persistent) is False

    @pytest.mark.parametrize("persistent", [True, False])
    def test_changing_it_sends_the_cookie_once_more(self, browser, db, persistent):
        def change(to):
            def view(request):
                request.session.persistent = to

            return view

        start(browser)
        browser.run(change(not persistent))
        thief = browser.copy()

        [cookie] = browser.answer(change(persistent)).cookies

        assert ("max-age" in cookie.attributes) is persistent
        assert row(db).persistent is persistent
        assert content(browser) == {"a": 1}
        assert content(thief) == {}

    @pytest.mark.parametrize("persistent", [True, False])
    def test_a_sign_in_says_which(self, browser, db, users, persistent):
        start(browser)

        [cookie] = browser.answer(
            lambda request: request.session.sign_in(users.ids[0], persistent=persistent)
        ).cookies

        assert ("max-age" in cookie.attributes) is persistent
        assert row(db).persistent is persistent

    def test_it_stays_when_the_token_is_replaced(self, browser, db, users):
        browser.run(lambda r: r.session.sign_in(users.ids[0], persistent=False))

        [cookie] = browser.answer(lambda request: request.session.rotate()).cookies

        assert "max-age" not in cookie.attributes
        assert not row(db).persistent


class TestCookies:
    HTTPS = "https://localhost"

    def test_over_https_it_is_bound_to_the_host(self, make_browser):
        [cookie] = make_browser(self.HTTPS).answer(lambda r: r.session.update(a=1)).cookies

        assert cookie.name == "__Host-session"
        assert "secure" in cookie.attributes
        assert cookie.attributes["path"] == "/"
        assert "domain" not in cookie.attributes

    def test_over_http_it_is_not(self, browser):
        [cookie] = browser.answer(lambda request: request.session.update(a=1)).cookies

        assert cookie.name == "session"
        assert "secure" not in cookie.attributes

    def test_partitioned(self, make_browser):
        browser = make_browser(self.HTTPS, session__cookie_partitioned="true")
        [cookie] = browser.answer(lambda request: request.session.update(a=1)).cookies
        assert "partitioned" in cookie.attributes
        assert "secure" in cookie.attributes
        assert content(browser) == {"a": 1}

        [cookie] = browser.answer(lambda request: request.session.invalidate()).cookies

        # A browser keeps partitioned cookies apart, so only a partitioned one takes it away.
        assert cookie.clears
        assert "partitioned" in cookie.attributes

    def test_name_path_domain_and_samesite(self, make_browser):
        browser = make_browser(
            "https://app.example.com",
            session__cookie_name="sid",
            session__cookie_path="/session-suite",
            session__cookie_domain="example.com",
            session__cookie_samesite="Strict",
        )
        [cookie] = browser.answer(lambda request: request.session.update(a=1)).cookies
        [clearing] = browser.answer(lambda request: request.session.invalidate()).cookies

        for sent in (cookie, clearing):
            assert sent.name == "sid"
            assert sent.attributes["path"] == "/session-suite"
            assert sent.attributes["domain"] == "example.com"
            assert sent.attributes["samesite"] == "Strict"
        assert clearing.clears

    def test_secrets_are_rotated(self, make_browser):
        old = make_browser()
        start(old)
        both = make_browser(session__secret=f"{OTHER_SECRET}\n{SECRET}")
        new = make_browser(session__secret=OTHER_SECRET)
        both.cookies = dict(old.cookies)
        new.cookies = dict(old.cookies)

        assert content(both) == {"a": 1}
        assert content(new) == {}

        both.run(lambda request: request.session.rotate())
        new.cookies = dict(both.cookies)
        assert content(new) == {"a": 1}


class TestSaveNow:
    def test_what_it_wrote_survives_a_rollback(self, browser):
        start(browser)

        def view(request):
            request.session["kept"] = 1
            request.session.save_now()
            request.session["lost"] = 1
            raise HTTPForbidden

        browser.answer(view)

        assert content(browser) == {"a": 1, "kept": 1}

    def test_a_session_can_begin_so(self, browser):
        def view(request):
            request.session["kept"] = 1
            request.session.save_now()
            raise HTTPForbidden

        answer = browser.answer(view)

        assert len(answer.cookies) == 1
        assert content(browser) == {"kept": 1}

    def test_a_session_can_end_so(self, browser, db):
        start(browser)

        def view(request):
            request.session.invalidate()
            request.session.save_now()
            raise HTTPForbidden

        browser.answer(view)

        assert browser.cookies == {}
        assert count(db) == 0

    def test_a_sign_in_before_a_redirect_that_is_raised(self, browser, users):
        def view(request):
            users.sign_in(request, 0)
            request.session.save_now()
            raise HTTPFound("/")

        answer = browser.answer(view)

        assert answer.status == 302
        assert browser.run(users.current) == 0

    def test_what_follows_is_written_with_the_commit(self, browser):
        start(browser)

        def view(request):
            request.session["one"] = [1]
            request.session.save_now()
            request.session["one"].append(2)
            request.session["two"] = 2

        browser.run(view)

        assert content(browser) == {"a": 1, "one": [1, 2], "two": 2}

    def test_it_can_be_called_again(self, browser):
        start(browser)

        def view(request):
            for number in range(3):
                request.session["n"] = number
                request.session.save_now()
            raise HTTPForbidden

        browser.answer(view)

        assert content(browser) == {"a": 1, "n": 2}

    def test_it_works_in_a_request_that_is_run_again(self, browser):
        """Whatever the first run was lost to: the second one must be able to do the same."""
        start(browser, n=0)

        def view(request):
            request.session["n"] += 1
            request.session.save_now()
            if request.environ["retry.attempt"] == 0:
                raise RetryableException

        answer = browser.answer(view)

        assert answer.status == 200, answer.error
        assert content(browser) == {"n": 2}

    def test_a_throttle_counts_each_attempt_that_was_answered(self, browser):
        """Wrong passwords, in parallel, each answered 403 by an exception that is raised."""
        start(browser, failures=0)
        meet = Meeting(PARALLEL)

        def view(request):
            failures = request.session["failures"]
            meet(request)
            request.session["failures"] = failures + 1
            request.session.save_now()
            raise HTTPForbidden

        answers = browser.at_once([view] * PARALLEL)

        counted = statuses(answers)
        assert counted.keys() <= {403, 503}
        assert content(browser) == {"failures": counted[403]}


class TestReload:
    def test_it_forgets_what_was_not_written(self, browser):
        start(browser, a=[1])

        def view(request):
            request.session["a"].append(2)
            request.session["b"] = 1
            request.session.reload()
            return dict(request.session)

        assert browser.run(view) == {"a": [1]}
        assert content(browser) == {"a": [1]}

    def test_it_sees_what_others_wrote(self, browser):
        start(browser)

        def view(request):
            dict(request.session)
            start(browser.copy(), a=2)
            request.session.reload()
            request.session["b"] = request.session["a"]

        browser.run(view)

        assert content(browser) == {"a": 2, "b": 2}

    def test_it_takes_back_an_end(self, browser):
        start(browser)

        browser.run(lambda r: (r.session.invalidate(), r.session.reload()))

        assert content(browser) == {"a": 1}

    def test_it_takes_back_a_sign_in_and_a_rotation(self, browser, users):
        start(browser)
        cookies = dict(browser.cookies)

        browser.run(lambda r: (users.sign_in(r, 0), r.session.reload()))

        assert browser.cookies == cookies
        assert browser.run(users.current) is None

    def test_it_keeps_a_visitors_form_valid(self, browser):
        token = browser.run(lambda r: (get_csrf_token(r), r.session.reload())[0])

        assert browser.run(get_csrf_token) == token


class TestFlush:
    def test_it_gives_the_id_that_rows_can_refer_to(self, browser, db):
        session_id = browser.run(lambda request: request.session.flush())

        assert row(db).id == session_id
        assert browser.run(lambda request: request.session.id) == session_id

    def test_it_is_rolled_back_with_the_request(self, browser, db):
        def view(request):
            request.session["a"] = 1
            request.session.flush()
            raise HTTPForbidden

        answer = browser.answer(view)

        assert list(answer.cookies) == []
        assert count(db) == 0

    def test_what_follows_is_written_as_well(self, browser):
        def view(request):
            request.session["one"] = [1]
            request.session.flush()
            request.session["one"].append(2)
            request.session["two"] = 2

        browser.run(view)

        assert content(browser) == {"one": [1, 2], "two": 2}


class TestLimits:
    def test_too_much_is_an_error_that_names_the_largest_key(self, make_browser):
        browser = make_browser(session__max_size="1KiB")
        start(browser)

        answer = browser.answer(lambda r: r.session.update(small="x" * 100, basket="x" * 1000))

        assert isinstance(answer.error, SessionTooLarge)
        assert "basket" in str(answer.error)
        assert "1024" in str(answer.error)
        assert content(browser) == {"a": 1}

    def test_bad_ends_leave_no_connection_and_no_lock_behind(self, browser, apps, db, users):
        """Not even until the next garbage collection: locks would stop everybody else."""
        start(browser, n=0)

        def fail_at_commit(request):
            request.session["n"] += 1
            request.session["big"] = "x" * 100_000

        def retry_to_the_end(request):
            request.session["n"] += 1
            raise RetryableException

        def refuse(request):
            users.sign_in(request, 0)
            raise HTTPForbidden

        gc.disable()
        try:
            for view in (fail_at_commit, retry_to_the_end, refuse):
                browser.answer(view)
                db.execute(text("SELECT 1 FROM sessions FOR UPDATE NOWAIT"))
            # The one is that of the fixture `db`.
            assert apps.engine.pool.checkedout() == 1
        finally:
            gc.enable()


class TestSignIn:
    def test_a_user_who_is_made_by_the_same_request(self, browser):
        """Whom SQLAlchemy has not inserted yet when the session is written."""

        def sign_up(request):
            request.dbsession.add(Person(9, "Cleo"))
            request.session.sign_in(9)

        answer = browser.answer(sign_up)

        assert answer.status == 200
        assert browser.run(lambda request: request.session.user_id) == 9

    def test_a_user_who_is_gone_is_not_signed_in(self, browser, db):
        answer = browser.answer(lambda request: request.session.sign_in(404))

        assert answer.status == 503
        assert list(answer.cookies) == []
        assert count(db) == 0

    def test_the_sessions_of_a_user_go_with_him(self, browser, db, users):
        browser.run(lambda request: users.sign_in(request, 0))

        db.execute(text("DELETE FROM people"))

        assert browser.run(users.current) is None
        assert count(db) == 0

    def test_what_a_visitor_kept_stays_with_him(self, browser, users):
        start(browser)
        before = browser.run(lambda request: request.session.id)

        browser.run(lambda request: users.sign_in(request, 0))

        assert content(browser) == {"a": 1}
        assert browser.run(lambda request: request.session.id) == before

    def test_a_sign_in_that_meets_a_sign_out_is_in_a_session_anew(self, browser, db, users):
        """The visitor's session ended meanwhile, but the sign-in stands."""
        start(browser)
        tab, pause = browser.copy(), Pause()

        def sign_in(request):
            dict(request.session)
            pause(request)
            users.sign_in(request, 0)

        answer = pause.during(
            tab, sign_in, lambda: browser.run(lambda request: request.session.invalidate())
        )

        assert answer.status == 200
        assert tab.run(users.current) == 0
        assert content(tab) == {}
        assert count(db) == 1


def flush(request):
    request.session.flush()


def save_now(request):
    request.session.save_now()


def set_c(request):
    request.session["c"] = 3


MEANWHILE: dict[str, tuple[View, dict[str, Any]]] = {
    "another key": (put_b, {"a": 1, "b": 2, "c": 3}),
    "an old key": (lambda request: request.session.update(a=5), {"a": 5, "c": 3}),
    "a message": (lambda request: request.session.flash("m"), {"a": 1, "_f_": ["m"], "c": 3}),
    "nothing left": (lambda request: request.session.clear(), {"c": 3}),
    "a new token": (rotate, {"a": 1, "c": 3}),
}


@pytest.mark.parametrize("write", [flush, save_now])
class TestWritingEarly:
    """What `flush` and `save_now` write is held to the same rules as what the commit writes."""

    @pytest.mark.parametrize("other", MEANWHILE)
    @pytest.mark.parametrize("then", [None, "more"])
    def test_what_others_have_committed_meanwhile_is_kept(self, browser, write, other, then):
        change, expected = MEANWHILE[other]
        start(browser)
        tab, pause = browser.copy(), Pause()

        def slow(request):
            dict(request.session)
            pause(request)
            set_c(request)
            write(request)
            seen = dict(request.session)
            if then is not None:
                request.session[then] = 1
            return seen

        answer = pause.during(tab, slow, lambda: browser.run(change))

        assert answer.status == 200
        assert answer.value == expected
        assert content(browser) == expected | ({then: 1} if then else {})

    def test_keys_of_parallel_requests_merge(self, browser, write):
        start(browser)
        meet = Meeting(PARALLEL)

        def set_key(number):
            def view(request):
                dict(request.session)
                meet(request)
                request.session[f"key {number}"] = number
                write(request)

            return view

        answers = browser.at_once([set_key(number) for number in range(PARALLEL)])

        assert statuses(answers) == {200: PARALLEL}
        assert content(browser) == {"a": 1} | {f"key {n}": n for n in range(PARALLEL)}

    def test_what_the_view_holds_of_a_value_stays_part_of_the_session(self, browser, write):
        start(browser, basket=[1])

        def view(request):
            basket = request.session["basket"]
            basket.append(2)
            write(request)
            basket.append(3)

        browser.run(view)

        assert content(browser)["basket"] == [1, 2, 3]

    def test_a_session_that_ended_meanwhile_stays_ended(self, browser, db, write):
        start(browser)
        tab, pause = browser.copy(), Pause()

        def slow(request):
            dict(request.session)
            pause(request)
            set_c(request)
            write(request)
            request.session["d"] = 4
            return request.session.id

        answer = pause.during(tab, slow, lambda: browser.run(invalidate))

        assert answer.status == 200
        assert answer.value is None
        assert count(db) == 0
        assert tab.cookies == {}

    def test_a_sign_in_in_another_tab_stands(self, browser, users, write):
        start(browser)
        tab, pause = browser.copy(), Pause()

        def slow(request):
            dict(request.session)
            pause(request)
            set_c(request)
            write(request)
            get_csrf_token(request)
            request.session["d"] = 4

        answer = pause.during(
            tab, slow, lambda: browser.run(lambda request: users.sign_in(request, 0))
        )

        assert answer.status == 200
        assert answer.cookies == []
        assert browser.run(users.current) == 0
        assert content(browser) == {"a": 1}


class TestFlushing:
    def test_no_increment_is_lost(self, browser):
        start(browser, n=0)
        meet = Meeting(PARALLEL)

        def increment(request):
            n = request.session["n"]
            meet(request)
            request.session["n"] = n + 1
            request.session.flush()

        answers = browser.at_once([increment] * PARALLEL)

        assert statuses(answers) == {200: PARALLEL}
        assert content(browser)["n"] == PARALLEL


class TestConnections:
    def test_a_request_never_needs_two(self, database_url):
        """Else as many requests as the pool has connections could wait for each other for ever."""
        apps = AloneApps(
            database_url, "connections", pool_size=PARALLEL, max_overflow=0, pool_timeout=2
        )
        try:
            browser = Browser(apps.make(INCLUDE, {}), SITE)
            start(browser, n=0)
            with apps.engine.begin() as connection:
                let_pass(connection, "6 minutes")
            meet = Meeting(PARALLEL)

            def view(request):
                request.dbsession.execute(text("SELECT 1"))
                meet(request)
                request.session["n"] += 1

            answers = browser.at_once([view] * PARALLEL)

            assert statuses(answers) == {200: PARALLEL}
            assert content(browser) == {"n": PARALLEL}
        finally:
            apps.dispose()

    def test_one_that_an_error_has_spoilt_is_not_used(self, browser, db):
        """PostgreSQL answers nothing before the ROLLBACK, yet the error page greets the person."""
        start(browser)
        let_pass(db, "6 minutes")

        def view(request):
            with suppress(DBAPIError):
                request.dbsession.execute(text("SELECT 1 / 0"))
            return dict(request.session)

        assert browser.answer(view).value == {"a": 1}

    def test_use_is_noted_in_the_transaction_that_is_open(self, browser, db):
        start(browser)
        let_pass(db, "6 minutes")

        def view(request):
            request.dbsession.execute(text("SELECT 1"))
            dict(request.session)

        browser.run(view)

        idle = "SELECT now() - last_seen_at < interval '1 minute' FROM sessions"
        assert db.execute(text(idle)).scalar_one()

    def test_noting_the_use_locks_nothing_before_the_commit(self, browser, db):
        """Else other requests of the session would wait for as long as this one takes."""
        start(browser)
        let_pass(db, "6 minutes")
        other, pause = browser.copy(), Pause()

        def slow(request):
            request.dbsession.execute(text("SELECT 1"))
            dict(request.session)
            pause(request)

        answer = pause.during(browser, slow, lambda: other.run(lambda r: r.session.update(b=2)))

        assert answer.status == 200
        assert content(browser) == {"a": 1, "b": 2}

    @pytest.mark.parametrize("change", [put_b, rotate, invalidate])
    @pytest.mark.parametrize("due", ["1 minute", "6 minutes"])
    def test_save_now_never_waits_for_its_own_request(self, browser, db, due, change):
        start(browser)
        let_pass(db, due)

        def view(request):
            request.dbsession.execute(text("SELECT 1"))
            change(request)
            request.session.save_now()
            raise HTTPForbidden

        assert browser.answer(view).status == 403
        assert (
            content(browser) == {put_b: {"a": 1, "b": 2}, rotate: {"a": 1}, invalidate: {}}[change]
        )

    def test_save_now_fails_where_the_request_has_locked_the_row(self, browser, apps):
        """It would wait for ever."""
        start(browser)
        lock = select(apps.sessions.c.id).with_for_update()

        def view(request):
            request.dbsession.execute(lock)
            put_b(request)
            request.session.save_now()

        assert browser.answer(view).status == 503
        assert content(browser) == {"a": 1}

    @pytest.mark.parametrize("change", [put_b, rotate, invalidate])
    def test_save_now_after_flush_is_an_error(self, browser, change):
        start(browser)

        def view(request):
            request.session["c"] = 3
            request.session.flush()
            change(request)
            with pytest.raises(SessionNotWritable):
                request.session.save_now()

        assert browser.answer(view).status == 200
