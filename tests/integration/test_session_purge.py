"""Clearing away expired sessions, and looking at and ending live ones from outside of them."""

import json
import logging
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from sqlalchemy import Column, MetaData, Uuid, create_engine, make_url, text

from authapp.cli.main import main
from authapp.domain.sessions import SessionCounts, purge
from authapp.repositories.sessions_table import sessions_table
from authapp.sessions.purger import Purger
from authapp.settings import SessionSettings, load_section
from authapp.testing.browser import Browser, Pause
from authapp.testing.views import INCLUDE
from authapp.wiring.sessions import session_directory
from tests.conftest import SITE, make_app
from tests.functional.waiting import wait_until_blocked

SETTINGS: SessionSettings = load_section(
    SessionSettings, "session", {"session.secret": "not secret: the tests know it anyway"}
)
ADVISORY_LOCK = 42


@pytest.fixture
def make_directory(migrated_url):
    engines = []

    def make(**options):
        engine = create_engine(make_url(migrated_url), **options)
        engines.append(engine)
        return session_directory(engine, SETTINGS)

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def directory(make_directory):
    return make_directory()


def add(db, number, *, expired, user_id=None):
    """That many sessions; an expired one has its deadline one to `number` seconds ago."""
    return db.scalars(
        text(
            "INSERT INTO sessions (token_hash, user_id, expires_at) "
            "SELECT sha256(gen_random_uuid()::text::bytea), :user_id, "
            "now() + CASE WHEN :expired THEN -1 ELSE 1 END * make_interval(secs => i) "
            "+ CASE WHEN :expired THEN interval '0' ELSE interval '1 hour' END "
            "FROM generate_series(1, :number) AS i RETURNING id"
        ),
        {"number": number, "expired": expired, "user_id": user_id},
    ).all()


def add_user(db, email="ada@example.com"):
    return db.scalar(
        text(
            "INSERT INTO users (name, email, password_hash) VALUES ('Ada', :email, 'none') "
            "RETURNING id"
        ),
        {"email": email},
    )


def remaining(db):
    return set(db.scalars(text("SELECT id FROM sessions")))


class TestPurge:
    @pytest.mark.parametrize("exclusive", [False, True])
    def test_expired_sessions_go_in_batches_and_live_ones_stay(self, directory, db, exclusive):
        live = add(db, 7, expired=False)
        add(db, 25, expired=True)

        batches = list(purge(directory, batch_size=10, exclusive=exclusive))

        assert batches == [10, 10, 5]
        assert remaining(db) == set(live)

    def test_nothing_expired_is_nothing_to_do(self, directory, db):
        live = add(db, 3, expired=False)

        assert list(purge(directory)) == []
        assert remaining(db) == set(live)

    def test_the_oldest_go_first(self, directory, db):
        ids = add(db, 10, expired=True)

        assert directory.purge(4, exclusive=False) == 4

        assert remaining(db) == set(ids[:6])

    def test_each_batch_is_committed_by_itself(self, directory, db):
        add(db, 25, expired=True)
        batches = purge(directory, batch_size=10)

        next(batches)

        assert len(remaining(db)) == 15

    def test_an_idle_session_is_dead_but_left_to_its_deadline(self, directory, db):
        [idle] = add(db, 1, expired=False)
        db.execute(text("UPDATE sessions SET last_seen_at = now() - interval '14 days'"))

        assert list(purge(directory)) == []

        assert directory.get(idle) is None

    def test_purgers_side_by_side_delete_each_row_once(self, make_directory, db):
        live = add(db, 20, expired=False)
        add(db, 500, expired=True)
        directories = [make_directory() for _ in range(4)]
        barrier = threading.Barrier(len(directories))

        def purge_all(directory):
            barrier.wait(20)
            return sum(purge(directory, batch_size=10))

        with ThreadPoolExecutor(len(directories)) as threads:
            deleted = list(threads.map(purge_all, directories))

        assert sum(deleted) == 500
        assert remaining(db) == set(live)

    def test_a_row_that_somebody_has_locked_is_passed_over(self, directory, engine, db):
        ids = add(db, 10, expired=True)
        with engine.begin() as other:
            other.execute(text("SELECT 1 FROM sessions WHERE id = :id FOR UPDATE"), {"id": ids[9]})

            assert list(purge(directory, batch_size=4)) == [4, 4, 1]

            assert remaining(db) == {ids[9]}
        assert list(purge(directory)) == [1]

    def test_requests_under_way_are_not_waited_for(self, directory, app, db, migrated_url):
        """A request that has written its session, but not committed yet, holds the row's lock."""
        [mine] = add(db, 1, expired=True)
        with db.engine.begin() as request:
            request.execute(text("UPDATE sessions SET data = '{\"a\": 1}'"))

            assert list(purge(directory)) == []

        assert remaining(db) == {mine}


class TestSideBySide:
    """With a purger that is held in the middle of its work."""

    @pytest.fixture
    def brake(self, engine, db):
        """Makes deletes of connections that are named `slow` wait for an advisory lock."""
        db.execute(
            text(
                "CREATE FUNCTION brake() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "IF current_setting('application_name') = 'slow' THEN "
                f"PERFORM pg_advisory_xact_lock({ADVISORY_LOCK}); END IF; RETURN OLD; END $$"
            )
        )
        db.execute(
            text(
                "CREATE TRIGGER brake BEFORE DELETE ON sessions "
                "FOR EACH ROW EXECUTE FUNCTION brake()"
            )
        )
        with engine.connect() as connection:
            connection.execute(text(f"SELECT pg_advisory_lock({ADVISORY_LOCK})"))
            yield lambda: connection.execute(text(f"SELECT pg_advisory_unlock({ADVISORY_LOCK})"))
            connection.execute(text("SELECT pg_advisory_unlock_all()"))
        db.execute(text("DROP TRIGGER brake ON sessions"))
        db.execute(text("DROP FUNCTION brake"))

    @pytest.fixture
    def slow(self, make_directory):
        return make_directory(connect_args={"application_name": "slow"})

    def test_nobody_waits_for_a_purger_that_is_slow(self, slow, brake, directory, db):
        live = add(db, 5, expired=False)
        add(db, 30, expired=True)
        with ThreadPoolExecutor(1) as thread:
            held = thread.submit(slow.purge, 10, exclusive=False)
            try:
                wait_until_blocked(db)

                assert list(purge(directory, batch_size=10)) == [10, 10]
                assert len(remaining(db)) == len(live) + 10
            finally:
                brake()
            assert held.result() == 10
        assert remaining(db) == set(live)

    def test_an_exclusive_purge_lets_no_other_in(self, slow, brake, directory, db):
        add(db, 30, expired=True)
        with ThreadPoolExecutor(1) as thread:
            held = thread.submit(slow.purge, 10, exclusive=True)
            try:
                wait_until_blocked(db)

                assert list(purge(directory, exclusive=True)) == []
                assert purger_of(directory).purge_once() == 0
                assert len(remaining(db)) == 30
                # One by command is somebody's explicit wish.
                assert list(purge(directory)) == [20]
            finally:
                brake()
            assert held.result() == 10
        assert remaining(db) == set()

    def test_the_lock_of_an_exclusive_purge_ends_with_it(self, make_directory, db):
        add(db, 30, expired=True)

        assert make_directory().purge(10, exclusive=True) == 10

        assert list(purge(make_directory(), exclusive=True)) == [20]


def purger_of(directory, interval=timedelta(hours=1)):
    return Purger({"sessions": partial(purge, directory, exclusive=True)}, interval)


NOTHING_ELSE = {"tokens": 0, "throttles": 0, "events": 0, "letters": 0}


def leave_behind(db, number):
    """So many of each that are over, of an account, and one of each that is not."""
    db.execute(text("DELETE FROM users"))
    user_id = add_user(db)
    for table, statement in LEFT_BEHIND.items():
        db.execute(text(f"DELETE FROM {table}"))  # noqa: S608
        for age, count in (("0 days", 1), ("366 days", number)):
            values = {"user_id": user_id, "age": age, "number": count}
            db.execute(text(statement), values)


LEFT_BEHIND = {
    "tokens": (
        "INSERT INTO tokens (token_hash, purpose, user_id, email, expires_at) SELECT "
        "sha256(gen_random_uuid()::text::bytea), 'verify_email', :user_id, 'a@example.com', "
        "now() + interval '1 hour' - CAST(:age AS interval) FROM generate_series(1, :number)"
    ),
    "throttles": (
        "INSERT INTO throttles (key, count, resets_at) SELECT "
        "sha256(gen_random_uuid()::text::bytea), 1, "
        "now() + interval '1 hour' - CAST(:age AS interval) FROM generate_series(1, :number)"
    ),
    "outbox": (
        "INSERT INTO outbox (kind, recipient, user_id, due_at, created_at) SELECT "
        "'email_changed', 'a@example.com', :user_id, NULL, now() - CAST(:age AS interval) "
        "FROM generate_series(1, :number)"
    ),
    "security_events": (
        "INSERT INTO security_events (kind, user_id, created_at) SELECT "
        "'signed_in', :user_id, now() - CAST(:age AS interval) FROM generate_series(1, :number)"
    ),
}


def left_behind(db):
    return [db.scalar(text(f"SELECT count(*) FROM {table}")) for table in LEFT_BEHIND]  # noqa: S608


class TestPurger:
    def test_it_clears_everything_away_and_says_so(self, directory, db, caplog):
        live = add(db, 2, expired=False)
        add(db, 1200, expired=True)

        with caplog.at_level(logging.INFO, "authapp"):
            assert purger_of(directory).purge_once() == 1200

        assert "1200" in caplog.text
        assert remaining(db) == set(live)

    def test_an_error_is_for_the_log(self, caplog):
        engine = create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
        purger = purger_of(session_directory(engine, SETTINGS))

        assert purger.purge_once() == 0

        assert "the purge of expired sessions failed" in caplog.text

    def test_it_keeps_nothing_else_from_being_purged(self, directory, db, caplog):
        add(db, 3, expired=True)
        purges: Any = {"lemons": lambda: 1 / 0, "sessions": partial(purge, directory)}

        assert Purger(purges, timedelta(hours=1)).purge_once() == 3

        assert "the purge of expired lemons failed" in caplog.text
        assert remaining(db) == set()

    def test_it_runs_once_an_interval_until_it_is_stopped(self, directory, db):
        purger = purger_of(directory, timedelta(milliseconds=5))
        purger.start()
        try:
            for _ in range(2):
                add(db, 3, expired=True)
                for _ in range(1000):
                    if not remaining(db):
                        break
                    threading.Event().wait(0.005)
                assert remaining(db) == set()
        finally:
            purger.stop()
        purger.join(10)
        assert not purger.is_alive()

    def test_an_application_has_one_where_it_is_asked_for(self, migrated_url, db):
        def running():
            return [t for t in threading.enumerate() if t.name == "authapp-purger" and t.is_alive()]

        before = running()
        make_app(migrated_url)
        assert running() == before

        make_app(migrated_url, session__purge_interval="1h")
        [purger] = set(running()) - set(before)

        assert purger.daemon
        add(db, 3, expired=True)
        leave_behind(db, 4)
        assert purger.purge_once() == 3 + 4 * 4
        assert left_behind(db) == [1, 1, 1, 1]
        purger.stop()
        purger.join(10)
        assert not purger.is_alive()


class TestRequest:
    """`request.sessions`, the directory within a request."""

    @pytest.fixture
    def browser(self, lab, db):
        return Browser(lab, SITE)

    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, migrated_url):
        app = make_app(migrated_url, pyramid__includes=INCLUDE)
        yield app
        app.registry["authapp.engine"].dispose()

    def test_purging_is_no_part_of_the_requests_transaction(self, browser, db):
        add(db, 5, expired=True)

        def view(request):
            deleted = request.sessions.purge(3, exclusive=False)
            request.tm.doom()
            return deleted

        assert browser.run(view) == 3
        assert len(remaining(db)) == 2

    def test_a_users_sessions_are_listed_last_used_first(self, browser, db):
        user_id, other_id = add_user(db), add_user(db, "bea@example.com")
        ids = add(db, 3, expired=False, user_id=user_id)
        add(db, 2, expired=False, user_id=other_id)
        add(db, 2, expired=True, user_id=user_id)
        for age, session_id in enumerate(ids):
            update = "UPDATE sessions SET last_seen_at = now() - make_interval(mins => :age) "
            db.execute(text(update + "WHERE id = :id"), {"age": (age - 1) % 3, "id": session_id})

        found = browser.run(lambda request: request.sessions.of_user(user_id))

        assert [info.id for info in found] == [ids[1], ids[2], ids[0]]
        assert {info.user_id for info in found} == {user_id}

    def test_counts(self, browser, db):
        add(db, 3, expired=False)
        add(db, 2, expired=False, user_id=add_user(db))
        add(db, 4, expired=True)

        counts = browser.run(lambda request: request.sessions.count())

        assert counts == SessionCounts(live=5, signed_in=2, expired=4)

    def test_one_is_looked_up_by_its_id(self, browser, db):
        [live], [expired] = add(db, 1, expired=False), add(db, 1, expired=True)

        assert browser.run(lambda request: request.sessions.get(live)).id == live
        assert browser.run(lambda request: request.sessions.get(expired)) is None
        assert browser.run(lambda request: request.sessions.get(uuid4())) is None

    def test_revoking_goes_with_the_request(self, browser, db):
        ids = add(db, 2, expired=False)

        def view(request):
            assert request.sessions.revoke(ids[0])
            assert not request.sessions.revoke(uuid4())
            request.tm.doom()

        browser.run(view)
        assert remaining(db) == set(ids)

        assert browser.run(lambda request: request.sessions.revoke(ids[0])) is True
        assert remaining(db) == {ids[1]}

    def test_all_but_one_of_a_users_sessions_are_revoked(self, browser, db):
        user_id, other_id = add_user(db), add_user(db, "bea@example.com")
        ids = add(db, 3, expired=False, user_id=user_id)
        others = add(db, 2, expired=False, user_id=other_id)

        revoked = browser.run(lambda r: r.sessions.revoke_of_user(user_id, keep=ids[1]))
        assert revoked == 2
        assert remaining(db) == {ids[1], *others}

        assert browser.run(lambda r: r.sessions.revoke_of_user(user_id)) == 1
        assert remaining(db) == set(others)

    @pytest.mark.parametrize("way", ["revoke", "purge"])
    def test_what_was_ended_under_a_request_stays_ended(self, browser, db, way):
        """As after a sign-out: an answer as usual, no session, and the cookie is cleared."""
        browser.run(lambda request: request.session.update(a=1))
        [session_id] = remaining(db)
        pause = Pause()

        def write_late(request):
            dict(request.session)
            pause(request)
            request.session["late"] = 1

        def end():
            if way == "revoke":
                browser.fresh().run(lambda request: request.sessions.revoke(session_id))
            else:
                db.execute(text("UPDATE sessions SET expires_at = now() - interval '1 second'"))
                browser.fresh().run(lambda r: sum(purge(r.sessions)))
            assert remaining(db) == set()

        answer = pause.during(browser, write_late, end)

        assert answer.status == 200
        assert [cookie.clears for cookie in answer.cookies] == [True]
        assert browser.cookies == {}
        assert remaining(db) == set()


class TestCommandWithoutAccounts:
    """For an application that has included the sessions alone."""

    @pytest.fixture
    def alone(self, engine):
        """A database whose tables, but for the sessions, are somebody else's."""
        name = f"authapp_test_{secrets.token_hex(4)}"
        server = engine.execution_options(isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        own = create_engine(engine.url.set(database=name), isolation_level="AUTOCOMMIT")
        with own.connect() as connection:
            metadata = MetaData()
            sessions_table(metadata, Column("user_id", Uuid))
            metadata.create_all(connection)
            connection.execute(text("CREATE TABLE tokens AS SELECT now() AS expires_at"))
            yield connection
        own.dispose()
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    def test_tables_of_the_applications_own_are_left_alone(self, alone, tmp_path):
        add(alone, 3, expired=True)
        url = alone.engine.url.render_as_string(hide_password=False).replace("%", "%%")
        secret = SETTINGS.secret[0]
        ini = tmp_path / "shop.ini"
        ini.write_text(
            "[app:main]\nuse = egg:shop\nauthapp.development = true\n"
            f"sqlalchemy.url = {url}\nsession.secret = {secret}\nevents.future = yes\n"
        )

        result = CliRunner().invoke(main, ["-c", str(ini), "--json", "sessions", "purge"])

        assert json.loads(result.stdout) == {"deleted": 3}
        result = CliRunner().invoke(main, ["-c", str(ini), "sessions", "list", "ada@example.com"])
        assert (result.exit_code, "is no user's id" in result.stderr) == (2, True)
        assert alone.scalar(text("SELECT count(*) FROM tokens")) == 1


class TestCommand:
    @pytest.fixture
    def authapp(self, ini, db):
        def run(*arguments, code=0):
            result = CliRunner().invoke(main, ["-c", str(ini), *arguments])
            assert result.exit_code == code, result.output
            return result

        return run

    def test_purge(self, authapp, db):
        live = add(db, 3, expired=False)
        add(db, 25, expired=True)

        assert json.loads(authapp("--json", "sessions", "purge", "--batch-size", "10").stdout) == {
            "deleted": 25,
            **NOTHING_ELSE,
        }
        assert remaining(db) == set(live)
        assert "0" in authapp("sessions", "purge").stdout

    def test_purge_of_what_accounts_leave_behind(self, authapp, db):
        leave_behind(db, 5)

        answer = authapp("--json", "sessions", "purge", "--batch-size", "2").stdout

        assert json.loads(answer) == {
            "deleted": 0,
            **dict.fromkeys(NOTHING_ELSE, 5),
        }
        assert left_behind(db) == [1, 1, 1, 1]
        leave_behind(db, 2)
        assert authapp("sessions", "purge").stdout == (
            "deleted 0 expired sessions, 2 expired tokens, 2 expired throttles, 2 expired events, "
            "2 expired letters\n"
        )

    def test_events_are_kept_for_as_long_as_was_set(self, ini, db, tmp_path):
        leave_behind(db, 5)
        longer = tmp_path / "longer.ini"
        longer.write_text(
            ini.read_text().replace("[server:main]", "events.keep = 400d\n[server:main]")
        )

        result = CliRunner().invoke(main, ["-c", str(longer), "--json", "sessions", "purge"])

        assert json.loads(result.stdout)["events"] == 0

    @pytest.mark.parametrize("size", ["0", "-1", "many"])
    def test_purge_in_batches_of_nothing_is_wrong_usage(self, authapp, db, size):
        add(db, 1, expired=True)

        authapp("sessions", "purge", "--batch-size", size, code=2)

        assert len(remaining(db)) == 1

    def test_stats(self, authapp, db):
        add(db, 3, expired=False)
        add(db, 2, expired=False, user_id=add_user(db))
        add(db, 4, expired=True)

        counts = json.loads(authapp("--json", "sessions", "stats").stdout)

        assert counts == {"live": 5, "signed_in": 2, "expired": 4}
        assert "5" in authapp("sessions", "stats").stdout

    def test_list(self, authapp, db):
        user_id = add_user(db)
        ids = add(db, 2, expired=False, user_id=user_id)
        add(db, 1, expired=True, user_id=user_id)
        add(db, 1, expired=False)

        found = json.loads(authapp("--json", "sessions", "list", str(user_id)).stdout)["sessions"]

        assert {UUID(session["id"]) for session in found} == set(ids)
        assert all(session["user_id"] == str(user_id) for session in found)
        # Nothing that could be made a cookie of.
        assert not {"token_hash", "data"} & found[0].keys()
        plain = authapp("sessions", "list", str(user_id)).stdout
        assert all(str(session_id) in plain for session_id in ids)

    def test_list_by_address(self, authapp, db):
        user_id = add_user(db)
        ids = add(db, 2, expired=False, user_id=user_id)
        email = db.scalar(text("SELECT upper(email) FROM users"))

        found = json.loads(authapp("--json", "sessions", "list", email).stdout)["sessions"]

        assert {UUID(session["id"]) for session in found} == set(ids)
        for session in found:
            at = datetime.fromisoformat(session["last_seen_at"])
            assert session["last_seen_at"] == at.isoformat()
            assert at.utcoffset() == timedelta()

    @pytest.mark.parametrize("email", ["nobody@example.com", "@", "\udcff@example.com"])
    def test_list_by_an_address_that_nobody_has(self, authapp, email):
        assert authapp("sessions", "list", email, code=1).stderr.startswith("Error: there is no ")
        refused = authapp("--json", "sessions", "list", email, code=1)

        assert json.loads(refused.stdout)["error"]["code"] == "not_found"
        assert refused.stderr == ""

    def test_list_of_nobody(self, authapp):
        found = json.loads(authapp("--json", "sessions", "list", str(uuid4())).stdout)
        assert found == {"sessions": []}
        authapp("sessions", "list", "nobody", code=2)

    def test_revoke(self, authapp, db):
        ids = add(db, 2, expired=False)

        result = json.loads(authapp("--json", "sessions", "revoke", str(ids[0])).stdout)

        assert result == {"revoked": 1}
        assert remaining(db) == {ids[1]}
        authapp("sessions", "revoke", str(ids[0]), code=1)
        authapp("sessions", "revoke", "none", code=2)
