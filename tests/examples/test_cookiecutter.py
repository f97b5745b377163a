"""examples/cookiecutter, installed, migrated and served as its README says."""

import http.client
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import Connection, create_engine, text

from authapp.repositories.engine import make_engine
from authapp.settings import DatabaseSettings, load_section
from tests.examples.pgbouncer import pgbouncer

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / "examples" / "cookiecutter"
PASSWORD = "correct horse battery staple"
CLIENTS = 30


@dataclass(frozen=True)
class Project:
    """The example, copied to `folder` and installed into `site`, and a way to run its programs."""

    folder: Path
    site: Path
    environ: Mapping[str, str]

    def python(self, *command: str) -> list[str]:
        """-P: what is imported is what was installed, templates and all, not what lies around."""
        return [sys.executable, "-P", *command]

    def run(self, *command: str, given: str = "") -> str:
        """What the Python module or program `command` prints; fails where it fails."""
        done = subprocess.run(
            self.python(*command),
            cwd=self.folder,
            env=self.environ,
            input=given,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def program(self, name: str) -> str:
        """The path of a program that was installed with the example."""
        return str(self.site / "bin" / name)

    def ini(self, name: str, source: str, url: str) -> str:
        """Writes an ini file that differs from `source` in the database and the port only."""
        changed = {
            r"(?m)^sqlalchemy\.url = .*$": f"sqlalchemy.url = {url.replace('%', '%%')}",
            r"(?m)^listen = .*$": "listen = 127.0.0.1:0",
        }
        content = (self.folder / source).read_text()
        for pattern, line in changed.items():
            content, found = re.subn(pattern, line.replace("\\", r"\\"), content)
            assert found == 1, pattern
        (self.folder / name).write_text(content)
        return name


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("cookiecutter") / "project"
    leftovers = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "build")
    shutil.copytree(EXAMPLE, folder, ignore=leftovers)
    site = folder.with_name("site")
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(CHECKOUT)]),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    environ.pop("PYTEST_ADDOPTS", None)  # Meant for the tests of this repository.
    project = Project(folder, site, environ)
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    project.run("-m", "pip", "install", "--quiet", *offline, "--target", str(site), str(folder))
    return project


@pytest.fixture(scope="module")
def new_database(server_url: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases, whose URLs it gives, and drops them in the end."""
    settings = load_section(DatabaseSettings, "database", {"sqlalchemy.url": server_url})
    engine = make_engine(settings)
    with (
        ExitStack() as cleanup,
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server,
    ):

        def make() -> str:
            name = f"authapp_test_shop_{secrets.token_hex(4)}"
            server.execute(text(f"CREATE DATABASE {name}"))
            cleanup.callback(server.execute, text(f"DROP DATABASE {name} WITH (FORCE)"))
            return engine.url.set(database=name).render_as_string(hide_password=False)

        yield make
        cleanup.close()
    engine.dispose()


@pytest.fixture(scope="module")
def shop_url(project: Project, new_database: Callable[[], str]) -> str:
    """A migrated database with one user."""
    url = new_database()
    ini = project.ini("shop.ini", "development.ini", url)
    project.run("-m", "alembic", "-c", ini, "upgrade", "head")
    project.run(project.program("initialize_shop_db"), ini, "ada", given=f"{PASSWORD}\n")
    return url


@pytest.fixture(scope="module")
def ports(project: Project, shop_url: str) -> Iterator[list[int]]:
    """Where two processes serve the shop."""
    with served(project, "shop.ini", processes=2) as ports:
        yield ports


@pytest.fixture
def db(shop_url: str) -> Iterator[Connection]:
    """For looking past the shop, whose carts and sessions are emptied."""
    engine = create_engine(shop_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("TRUNCATE sessions CASCADE"))
        yield connection
        open_transactions = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
        assert connection.execute(open_transactions).scalar_one() == 0
    engine.dispose()


class Server:
    """pserve in a process of its own, which chooses its port."""

    def __init__(self, project: Project, ini: str) -> None:
        self._log = project.folder / f"{secrets.token_hex(4)}.log"
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                project.python("-m", "pyramid.scripts.pserve", ini),
                cwd=project.folder,
                env=project.environ,
                stdout=output,
                stderr=output,
            )

    def port(self) -> int:
        """Waits until it serves."""
        deadline = time.monotonic() + 30
        while not (found := re.search(r"Serving on http://127\.0\.0\.1:(\d+)", self.log())):
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        return int(found[1])

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)


@contextmanager
def served(project: Project, ini: str, processes: int) -> Iterator[list[int]]:
    """Gives the ports of so many processes, none of which may have an error to tell of."""
    servers: list[Server] = []
    try:
        servers += [Server(project, ini) for _ in range(processes)]
        yield [server.port() for server in servers]
    finally:
        for server in servers:
            server.stop()
    for server in servers:
        assert "Traceback" not in server.log(), server.log()


@dataclass(frozen=True)
class Answer:
    status: int
    location: str | None
    body: str

    def __contains__(self, wanted: str) -> bool:
        return wanted in self.body

    def text_of(self, element_id: str) -> str:
        found = re.search(rf'id="{element_id}">([^<]*)<', self.body)
        assert found, self.body
        return found[1]


@dataclass
class Browser:
    """Keeps cookies, and takes the ports in turn, as behind a load balancer."""

    ports: list[int]
    cookies: dict[str, str] = field(default_factory=dict)
    csrf_token: str = ""
    requests: int = 0

    def clones(self, number: int) -> list["Browser"]:
        """Windows of the same browser, which share its cookies."""
        return [
            Browser(self.ports, dict(self.cookies), self.csrf_token, first)
            for first in range(number)
        ]

    def get(self, path: str) -> Answer:
        answer = self._ask("GET", path, None)
        token = re.search(r'name="csrf_token" value="([^"]*)"', answer.body)
        self.csrf_token = token[1] if token else self.csrf_token
        return answer

    def post(self, path: str, **fields: str) -> Answer:
        """Sends a form, with the token of the page that was seen last."""
        return self._ask("POST", path, urlencode({"csrf_token": self.csrf_token, **fields}))

    def _ask(self, method: str, path: str, body: str | None) -> Answer:
        port = self.ports[self.requests % len(self.ports)]
        self.requests += 1
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read().decode()
        finally:
            connection.close()
        self._take_cookies(response)
        location = response.getheader("Location")
        return Answer(response.status, location, content)

    def _take_cookies(self, response: http.client.HTTPResponse) -> None:
        for header in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(header).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]


def sign_in(browser: Browser) -> Answer:
    browser.get("/sign-in")
    return browser.post("/sign-in", name="ada", password=PASSWORD)


def all_at_once(browser: Browser, path: str, **fields: str) -> list[Answer]:
    """Posts the same form from many windows."""
    clones = browser.clones(CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(lambda clone: clone.post(path, **fields), clones))


def statuses(answers: list[Answer]) -> set[int]:
    return {answer.status for answer in answers}


def test_its_own_tests_pass(project: Project, new_database: Callable[[], str]):
    ini = project.ini("its_own_tests.ini", "testing.ini", new_database())
    printed = project.run("-m", "pytest", "-p", "no:cacheprovider", "-q", f"--ini={ini}")
    assert re.search(r"^\d+ passed in |^\d+ passed, \d+ warnings? in ", printed, re.M), printed


def test_visitor_leaves_no_row(ports: list[int], db: Connection):
    browser = Browser(ports)
    for path in ("/", "/sign-in", "/static/theme.css"):
        assert browser.get(path).status == 200
    assert browser.get("/nowhere").status == 404
    assert db.execute(text("SELECT count(*) FROM sessions")).scalar_one() == 0


def test_cart_is_kept_through_sign_in_under_the_same_id(ports: list[int], db: Connection):
    browser = Browser(ports)
    browser.get("/")
    assert browser.post("/cart", product="bread").status == 303
    before, cookie = browser.get("/"), browser.cookies["session"]
    assert "Added bread" in before
    assert "1 × bread" in before

    assert sign_in(browser).status == 303

    after = browser.get("/")
    assert "Welcome, ada" in after
    assert "1 × bread" in after
    assert after.text_of("session") == before.text_of("session")
    assert browser.cookies["session"] != cookie
    [row] = db.execute(
        text("SELECT s.id::text, u.name FROM sessions s JOIN users u ON u.id = user_id")
    )
    assert row == (before.text_of("session"), "ada")


def test_parallel_increments_are_all_counted(ports: list[int], db: Connection):
    browser = Browser(ports)
    sign_in(browser)
    browser.get("/")

    assert statuses(all_at_once(browser, "/tally")) == {200}

    assert browser.get("/").text_of("tally") == str(CLIENTS)


def test_cart_and_flash_messages_come_together(ports: list[int], db: Connection):
    """Each request changes a row that all change, and a key of the session that all change: what
    loses a race over the key is rolled back with the row, and done again with it."""
    browser = Browser(ports)
    sign_in(browser)
    browser.get("/")

    assert statuses(all_at_once(browser, "/cart", product="wine")) == {303}

    page = browser.get("/")
    assert f"{CLIENTS} × wine" in page
    assert page.body.count("Added wine") == CLIENTS


def test_signed_out_is_signed_out(ports: list[int], db: Connection):
    browser = Browser(ports)
    sign_in(browser)
    browser.get("/")
    browser.post("/cart", product="cheese")
    [thief] = browser.clones(1)
    assert thief.get("/account").status == 200

    assert browser.post("/sign-out").status == 303

    assert "session" not in browser.cookies
    assert thief.get("/account").location == f"http://127.0.0.1:{ports[1]}/sign-in"
    assert db.execute(text("SELECT count(*) FROM cart_items")).scalar_one() == 0


def test_expired_sessions_are_purged(project: Project, ports: list[int], db: Connection):
    browser = Browser(ports)
    sign_in(browser)
    db.execute(text("UPDATE sessions SET expires_at = now() - interval '1 second'"))
    sign_in(Browser(ports))

    printed = project.run(project.program("purge_shop_sessions"), "shop.ini")

    assert printed == "deleted 1 expired sessions\n"
    assert db.execute(text("SELECT count(*) FROM sessions")).scalar_one() == 1


def test_it_works_behind_pgbouncer(project: Project, shop_url: str, db: Connection):
    with pgbouncer(shop_url, pool_size=2) as pooler:
        ini = project.ini("pooled.ini", "development.ini", pooler.url)
        with served(project, ini, processes=1) as ports:
            browser = Browser(ports)
            sign_in(browser)
            browser.get("/")
            assert statuses(all_at_once(browser, "/tally")) == {200}
            assert statuses(all_at_once(browser, "/cart", product="bread")) == {303}
            page = browser.get("/")
            assert page.text_of("tally") == str(CLIENTS)
            assert f"{CLIENTS} × bread" in page
        assert pooler.complaints() == []
