"""What the sessions cost, to the statement, counted at the server by its own log.

psycopg2 sends each statement, BEGIN and COMMIT too, in a message of its own and waits for the
answer, so that each line of the log is one round trip.
"""

import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import webtest
from sqlalchemy import create_engine, make_url, text

from authapp.repositories import embedded
from authapp.repositories.schema import Base
from authapp.sessions.cookie import Ticket, TicketSigner
from authapp.testing import sign_in_as
from authapp.testing.browser import Browser, Meeting, statuses
from authapp.testing.views import INCLUDE
from tests.conftest import SITE, app_settings
from tests.integration.session_apps import AloneApps, FullApps, StoredUsers

OURS = "the tests"
PREFIX = re.compile(r"(?P<application>[^|]*)\|\w+\|LOG:  statement: (?P<statement>.*)")
ENVIRON = {"HTTP_HOST": "localhost:6543"}
PARALLEL = 20
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"

GARBAGE = ["x", "A" * 43, "%00", "\xff", "sAAAA.BBBB", "s" + "A" * 43 + "." + "A" * 43]


class Server:
    """A PostgreSQL server of the tests' own, that nothing else disturbs."""

    def __init__(self, directory, url):
        self.url = url
        self._log = directory / embedded.LOG_NAME
        self.engine = create_engine(
            make_url(self.url),
            isolation_level="AUTOCOMMIT",
            connect_args={"application_name": OURS},
        )
        for name, value in {
            "log_statement": "all",
            "log_line_prefix": "%a|%p|",
            "autovacuum": "off",
            "checkpoint_timeout": "1h",
            "bgwriter_lru_maxpages": "0",
        }.items():
            self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")

    def execute(self, statement):
        with self.engine.connect() as connection:
            result = connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None

    @contextmanager
    def counted(self):
        """Gives the list of the statements that others than the tests send meanwhile."""
        statements: list[str] = []
        start = self._log.stat().st_size
        yield statements
        with self._log.open(errors="replace") as log:
            log.seek(start)
            found = [PREFIX.match(line) for line in log]
        statements += [m["statement"] for m in found if m and m["application"] != OURS]

    def wal_of(self, act):
        """How many bytes of WAL `act` causes.

        The server itself writes some every 15 seconds, which three times in a row it cannot do.
        """
        position = "SELECT pg_current_wal_insert_lsn() - '0/0'"
        written = []
        for _ in range(3):
            before = self.execute(position)
            act()
            written.append(self.execute(position) - before)
        return min(written)


@pytest.fixture(scope="module")
def server():
    # In a process of its own, which stops the server when it ends.
    program = f"import sys; from {embedded.__name__} import Path, start; "
    program += "print(start(Path(sys.argv[1])), flush=True); sys.stdin.read()"
    with tempfile.TemporaryDirectory(prefix="authapp-test-") as folder:
        directory = Path(folder) / "postgresql"
        command = [sys.executable, "-c", program, str(directory)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as keeper:
            assert keeper.stdout is not None
            server = Server(directory, keeper.stdout.readline().strip())
            Base.metadata.create_all(server.engine)
            yield server
            server.engine.dispose()


@pytest.fixture(scope="module")
def full_apps(server):
    apps = FullApps(server.url, server.engine)
    look_around(apps)
    yield apps
    apps.dispose()


@pytest.fixture(scope="module")
def alone_apps(server):
    apps = AloneApps(server.url, pool_size=PARALLEL)
    look_around(apps)
    yield apps
    apps.dispose()


def look_around(apps):
    """Lets SQLAlchemy ask the server what it is, which it does once for each engine."""
    with apps.engine_of(INCLUDE).connect():
        pass


@pytest.fixture(autouse=True)
def empty(server, full_apps, alone_apps):
    server.execute("TRUNCATE users, sessions CASCADE")
    alone_apps.empty()


@pytest.fixture(params=["full", "alone"])
def apps(request, full_apps, alone_apps):
    return full_apps if request.param == "full" else alone_apps


@pytest.fixture
def browser(apps):
    return Browser(apps.make(INCLUDE, {}), SITE)


@pytest.fixture
def site(full_apps):
    """A browser before the real pages, with nobody signed in."""
    return webtest.TestApp(full_apps.make(INCLUDE, {}), extra_environ=ENVIRON)


def table_of(apps):
    return "public.sessions" if isinstance(apps, FullApps) else f"{apps.schema}.sessions"


def kinds(statements):
    return [statement.split()[0] for statement in statements]


def set_number(number, request):
    request.session["number"] = number


def read(request):
    return dict(request.session)


def signed_in(apps, browser):
    """Signs a user in; what is read afterwards needs no hint bits to be written any more."""
    users = StoredUsers(apps.add_users())
    start = {"a": 1, "b": 2, "gone": 3, "list": [1]}

    def begin(request):
        users.sign_in(request, 0)
        request.session.update(start)

    browser.run(begin)
    browser.run(read)
    return users


class TestVisitors:
    @pytest.mark.parametrize(
        "path",
        ["/", "/sign-in", "/sign-up", "/nothing-here", "/account", "/static/authapp/site.css"],
    )
    def test_no_page_costs_anything(self, server, site, path):
        with server.counted() as statements:
            assert server.wal_of(lambda: site.get(path, status="*")) == 0

        assert statements == []

    @pytest.mark.parametrize("cookie", GARBAGE)
    def test_garbage_costs_nothing(self, server, site, cookie):
        with server.counted() as statements:
            response = site.get("/", headers={"Cookie": f"session={cookie}"})

        assert response.status_int == 200
        assert statements == []

    def test_a_forged_cookie_costs_nothing(self, server, site, full_apps, browser):
        real = app_settings("")["session.secret"]
        forged = TicketSigner(["an attacker's own secret, of some length"])
        ours = TicketSigner([real])

        with server.counted() as statements:
            for stored in (False, True):
                value = forged.dumps(Ticket.new(stored=stored))
                site.get("/", headers={"Cookie": f"session={value}"})
                signature = ours.dumps(Ticket.new(stored=stored)).partition(".")[2]
                site.get("/", headers={"Cookie": f"session={value.partition('.')[0]}.{signature}"})

        assert statements == []

    def test_a_visitors_own_cookie_costs_nothing(self, server, site):
        """The one that the form's token is derived from, for which there is no row."""
        page = site.get("/sign-in")
        assert site.cookies

        with server.counted() as statements:
            site.get("/")
            site.get("/sign-in")
        assert statements == []

        # A refusal before the account is looked up.
        form = next(f for f in page.forms.values() if f.action == "/sign-in")
        form["csrf_token"] = "wrong"
        with server.counted() as statements:
            form.submit(status=400)
        assert statements == []

    def test_a_thousand_visits_leave_no_row(self, server, full_apps):
        app = full_apps.make(INCLUDE, {})
        for _ in range(1000):
            webtest.TestApp(app, extra_environ=ENVIRON).get("/sign-in")

        assert server.execute("SELECT count(*) FROM sessions") == 0

    def test_a_token_that_is_signed_but_gone_costs_one_select(self, server, site):
        gone = TicketSigner([app_settings("")["session.secret"]]).dumps(Ticket.new(stored=True))

        with server.counted() as statements:
            response = site.get("/", headers={"Cookie": f"session={gone}"})

        assert kinds(statements) == ["SELECT"]
        assert "Max-Age=0" in response.headers["Set-Cookie"]


class TestPeople:
    @pytest.mark.parametrize("path", ["/", "/account"])
    def test_a_page_that_changes_nothing_costs_one_round_trip(self, server, site, full_apps, path):
        sign_in_as(site, full_apps.add_users()[0])
        site.get(path)

        with server.counted() as statements:
            response = site.get(path)

        assert kinds(statements) == ["SELECT"]
        assert "Set-Cookie" not in response.headers

    @pytest.mark.parametrize("path", ["/static/authapp/site.css", "/healthz"])
    def test_what_is_the_same_for_everybody_costs_nothing(self, server, site, full_apps, path):
        sign_in_as(site, full_apps.add_users()[0])
        site.get("/account")

        with server.counted() as statements:
            site.get(path, status="*")

        assert statements == []

    def test_reading_costs_one_round_trip(self, server, apps, browser):
        signed_in(apps, browser)

        with server.counted() as statements:
            browser.run(read)
            browser.run(lambda r: (r.session["a"], r.session.peek_flash(), r.session.user_id))

        assert kinds(statements) == ["SELECT", "SELECT"]

    def test_reading_writes_no_wal(self, server, apps, browser):
        signed_in(apps, browser)

        assert server.wal_of(lambda: [browser.run(read) for _ in range(20)]) == 0

    def test_a_change_does_write_wal(self, server, apps, browser):
        """Else the tests that find none would prove nothing."""
        signed_in(apps, browser)

        def change(request):
            request.session["a"] += 1

        assert server.wal_of(lambda: browser.run(change)) > 0

    def test_many_changes_cost_one_update(self, server, apps, browser):
        signed_in(apps, browser)

        def change(request):
            session = request.session
            session["a"], session["b"], session["c"] = 10, 20, {"new": 30}
            session["list"].append(2)
            session.flash("message")
            del session["gone"]

        with server.counted() as statements:
            browser.run(change)

        assert kinds(statements) == ["SELECT", "BEGIN", "UPDATE", "COMMIT"]

    def test_a_change_to_the_same_costs_no_update(self, server, apps, browser):
        signed_in(apps, browser)

        def change(request):
            request.session.update(a=1, list=[1])

        with server.counted() as statements:
            browser.run(change)

        assert kinds(statements) == ["SELECT"]
        assert server.wal_of(lambda: browser.run(change)) == 0

    def test_a_new_session_costs_one_insert(self, server, browser):
        with server.counted() as statements:
            browser.run(lambda request: request.session.update(a=1, b=2))

        assert kinds(statements) == ["BEGIN", "INSERT", "COMMIT"]

    def test_a_sign_in_costs_one_update_of_the_visitors_row(self, server, apps, browser):
        users = StoredUsers(apps.add_users())
        browser.run(lambda request: request.session.update(a=1))

        def view(request):
            users.sign_in(request, 0)
            request.session["b"] = 2

        with server.counted() as statements:
            browser.run(view)

        assert kinds(statements) == ["SELECT", "BEGIN", "UPDATE", "COMMIT"]

    def test_a_sign_out_costs_one_delete(self, server, apps, browser):
        signed_in(apps, browser)

        with server.counted() as statements:
            browser.run(lambda request: request.session.invalidate())

        assert kinds(statements) == ["SELECT", "BEGIN", "DELETE", "COMMIT"]

    def test_it_all_goes_over_one_connection(self, server, full_apps, site):
        """There is no pool beside the application's own: one request after the other needs one."""
        app = FullApps(server.url, server.engine)
        browser = Browser(app.make(INCLUDE, {}), SITE)
        count = CONNECTIONS + f" AND application_name != '{OURS}'"
        before = server.execute(count)

        for number in range(5):
            browser.run(partial(set_number, number))
            browser.run(read)

        assert server.execute(count) == before + 1
        app.dispose()


class TestTouch:
    AGE = "UPDATE {table} SET last_seen_at = now() - interval '6 minutes'"

    @pytest.fixture
    def age(self, server, apps):
        return lambda: server.execute(self.AGE.format(table=table_of(apps)))

    def test_it_costs_one_further_round_trip(self, server, apps, browser, age):
        signed_in(apps, browser)
        age()

        with server.counted() as statements:
            browser.run(read)
        assert kinds(statements) == ["SELECT", "UPDATE"]

        with server.counted() as statements:
            browser.run(read)
        assert kinds(statements) == ["SELECT"]

    def test_of_many_requests_one_writes(self, server, apps, browser, age):
        signed_in(apps, browser)
        age()
        version = f"SELECT xmin::text FROM {table_of(apps)}"  # noqa: S608  # Ours.
        before = server.execute(version)
        meet = Meeting(PARALLEL)

        def read_together(request):
            meet(request)
            dict(request.session)

        with server.counted() as statements:
            answers = browser.at_once([read_together] * PARALLEL)

        assert statuses(answers) == {200: PARALLEL}
        assert len(statements) <= 2 * PARALLEL
        assert set(kinds(statements)) == {"SELECT", "UPDATE"}
        assert server.execute(version) != before

    def test_it_is_written_once_an_interval_and_touches_no_index(
        self, server, apps, browser, age, full_apps, alone_apps
    ):
        """By the server's own statistics, which a connection reports when it ends."""
        pools = (server.engine, full_apps.engine_of(INCLUDE), alone_apps.engine)
        signed_in(apps, browser)
        before = self._updates(server, pools, apps)
        for _ in range(4):
            age()
            meet = Meeting(PARALLEL)
            answers = browser.at_once([lambda r, meet=meet: (meet(r), read(r))] * PARALLEL)
            assert statuses(answers) == {200: PARALLEL}

        written, hot = self._updates(server, pools, apps)

        # The tests make the session old by an update of their own.
        assert written - before[0] == 4 + 4
        assert hot - before[1] == 4 + 4

    def _updates(self, server, pools, apps):
        for pool in pools:
            pool.dispose()
        # They report just after they have said goodbye.
        deadline = time.monotonic() + 10
        while server.execute(CONNECTIONS) > 1:
            assert time.monotonic() < deadline, "connections are left open"
        with server.engine.connect() as connection:
            return connection.execute(
                text(
                    "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables "
                    "WHERE relid = CAST(:table AS regclass)"
                ),
                {"table": table_of(apps)},
            ).one()
