"""Stricter isolation levels: nothing is lost silently; what cannot be settled is a clear 503."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, make_url, text

from authapp.repositories.schema import Base
from authapp.testing.browser import Browser, Meeting, statuses
from authapp.testing.views import INCLUDE, Note, change_notes_table
from tests.conftest import SITE
from tests.integration.session_apps import AloneApps, FullApps

LEVELS = ("REPEATABLE READ", "SERIALIZABLE")
PARALLEL = 30


@pytest.fixture(scope="module", params=LEVELS)
def level(request):
    return request.param


@pytest.fixture(scope="module")
def strict_database_url(level, server_url, database_url):
    """A database of which the level is the default."""
    server = create_engine(make_url(database_url), isolation_level="AUTOCOMMIT")
    name = f"authapp_test_{secrets.token_hex(4)}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        connection.execute(
            text(f"ALTER DATABASE {name} SET default_transaction_isolation = '{level.lower()}'")
        )
    yield make_url(database_url).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


def full_by_setting(level, migrated_url, strict_database_url):
    engine = create_engine(make_url(migrated_url))
    apps = FullApps(migrated_url, engine, sqlalchemy__isolation_level=level)
    yield apps
    engine.dispose()


def full_by_database(level, migrated_url, strict_database_url):
    engine = create_engine(make_url(strict_database_url))
    Base.metadata.create_all(engine)
    yield FullApps(strict_database_url, engine)
    engine.dispose()


def alone_by_engine(level, migrated_url, strict_database_url):
    yield AloneApps(migrated_url, "alone_by_engine", isolation_level=level)


def alone_by_database(level, migrated_url, strict_database_url):
    yield AloneApps(strict_database_url, "alone_by_database")


@pytest.fixture(
    scope="module", params=[full_by_setting, full_by_database, alone_by_engine, alone_by_database]
)
def apps(request, level, migrated_url, strict_database_url):
    making = request.param(level, migrated_url, strict_database_url)
    apps = next(making)
    yield apps
    apps.dispose()
    assert next(making, None) is None


@pytest.fixture
def browser(apps):
    return Browser(apps.make(INCLUDE, {}), SITE)


def settled(answers):
    """How many requests were answered 200, of which the others were all told to try again."""
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in refused} <= {503}, statuses(answers)
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    return [answer for answer in answers if answer.status == 200]


def test_the_level_is_the_one_that_was_asked_for(browser, level):
    shown = browser.run(
        lambda r: r.dbsession.execute(text("SHOW transaction_isolation")).scalar_one()
    )

    assert shown.upper() == level


def test_the_counter_is_the_number_of_answers(browser):
    browser.run(lambda request: request.session.update(counter=0))
    meet = Meeting(PARALLEL)

    def increment(request):
        counter = request.session["counter"]
        meet(request)
        request.session["counter"] = counter + 1

    won = settled(browser.at_once([increment] * PARALLEL))

    assert len(won) >= 1
    assert browser.run(lambda request: request.session["counter"]) == len(won)


def test_each_key_that_was_acknowledged_is_there(browser):
    browser.run(lambda request: request.session.update(start=0))
    meet = Meeting(PARALLEL)

    def set_key(number):
        def view(request):
            dict(request.session)
            meet(request)
            request.session[str(number)] = number
            return number

        return view

    won = settled(browser.at_once([set_key(number) for number in range(PARALLEL)]))

    expected = {"start": 0} | {str(answer.value): answer.value for answer in won}
    assert len(won) >= 1
    assert browser.run(lambda request: dict(request.session)) == expected


def test_each_message_that_was_acknowledged_is_shown(browser):
    browser.run(lambda request: request.session.update(start=0))
    meet = Meeting(PARALLEL)

    def flash(number):
        def view(request):
            request.session.peek_flash()
            meet(request)
            request.session.flash(number)
            return number

        return view

    won = settled(browser.at_once([flash(number) for number in range(PARALLEL)]))

    shown = browser.run(lambda request: request.session.pop_flash())
    assert sorted(shown) == sorted(answer.value for answer in won)


def test_requests_one_after_the_other_are_all_answered(browser):
    browser.run(lambda request: request.session.update(counter=0))

    for _ in range(10):
        browser.run(lambda r: r.session.update(counter=r.session["counter"] + 1))

    assert browser.run(lambda request: request.session["counter"]) == 10


def test_the_session_goes_with_rows_that_lose_a_race(browser):
    """Each request reads the application's own rows and adds one: a write skew, which SERIALIZABLE
    tells only when it commits, when the session is written already."""
    browser.run(lambda request: change_notes_table(request, "create"))
    tabs = [browser.fresh() for _ in range(6)]
    meet = Meeting(len(tabs))

    def add_note(number):
        def view(request):
            count = request.dbsession.query(Note).count()
            meet(request)
            request.dbsession.add(Note(text=f"{number} after {count}"))
            request.session["mine"] = number

        return view

    with ThreadPoolExecutor(len(tabs)) as threads:
        views = [add_note(number) for number in range(len(tabs))]
        answers = list(threads.map(lambda tab, view: tab.answer(view), tabs, views))

    won = settled(answers)
    assert browser.run(lambda request: request.dbsession.query(Note).count()) == len(won)
    for tab, answer in zip(tabs, answers, strict=True):
        assert bool(tab.run(lambda request: dict(request.session))) is (answer.status == 200)
    browser.run(lambda request: change_notes_table(request, "drop"))


def test_a_late_write_brings_no_session_back(browser):
    browser.run(lambda request: request.session.update(start=1))
    meet = Meeting(PARALLEL)
    signed_out = Meeting(PARALLEL)

    def write_late(request):
        dict(request.session)
        meet(request)
        signed_out(request)
        request.session["late"] = 1

    def sign_out(request):
        meet(request)
        browser.copy().run(lambda request: request.session.invalidate())
        signed_out(request)

    thief = browser.copy()
    won = settled(browser.at_once([sign_out, *[write_late] * (PARALLEL - 1)]))

    assert len(won) == PARALLEL
    assert browser.cookies == {}
    assert thief.run(lambda request: dict(request.session)) == {}
