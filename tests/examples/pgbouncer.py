"""PgBouncer in transaction mode, between the applications under test and their database."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from sqlalchemy import URL, make_url

NAME = "pooled"
# Every client and every server that comes and goes has its line; these are about trouble.
TROUBLE = (" WARNING ", " ERROR ", " FATAL ", "pooler error", "unclean server")


class PgBouncer:
    """A running PgBouncer. `url` is what applications connect to."""

    def __init__(self, port: int, log: Path) -> None:
        self._port = port
        self._log = log
        self.url = f"postgresql+psycopg2://anybody@127.0.0.1:{port}/{NAME}"

    def show(self, what: str) -> list[dict[str, Any]]:
        """The rows of its console's SHOW command that are about the pooled database."""
        with closing(self._connect()) as console:
            console.autocommit = True
            with console.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(f"SHOW {what}")
                return [dict(row) for row in cursor.fetchall() if row["database"] == NAME]

    def complaints(self) -> list[str]:
        lines = self._log.read_text().splitlines()
        return [line for line in lines if any(sign in line for sign in TROUBLE)]

    def wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                self._connect().close()
                return
            except psycopg2.OperationalError:
                assert process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.02)

    def _connect(self) -> Any:
        return psycopg2.connect(
            host="127.0.0.1", port=self._port, user="anybody", dbname="pgbouncer"
        )


@contextmanager
def pgbouncer(url: str, pool_size: int) -> Iterator[PgBouncer]:
    """Runs PgBouncer before the database of `url`, to which it opens `pool_size` connections."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian and Ubuntu: apt-get install pgbouncer)")
    server = make_url(url)
    with closing(psycopg2.connect(_dsn(server))) as connection:
        host, port = connection.info.host, connection.info.port
    with tempfile.TemporaryDirectory(prefix="authapp-pgbouncer-") as name:
        folder, own_port = Path(name), _free_port()
        (folder / "pgbouncer.ini").write_text(_ini(server, host, port, own_port, pool_size))
        identity = _identity(host)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, **identity)
        log = folder / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [program, folder / "pgbouncer.ini"], stderr=stderr, **_as_user(identity)
            )
        try:
            pooler = PgBouncer(own_port, log)
            pooler.wait_until_ready(process)
            yield pooler
        finally:
            _end(process)


def _ini(server: URL, host: str, port: int, own_port: int, pool_size: int) -> str:
    database = {
        "host": host,
        "port": port,
        "dbname": server.database,
        "user": server.username,
        "password": server.password,
    }
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": own_port,
        "unix_socket_dir": "",
        # Whoever asks is let in, and reaches the database as its own user.
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": pool_size,
        # Who waits for so long waits for somebody who waits as well.
        "query_wait_timeout": 20,
    }
    return "\n".join(
        [
            "[databases]",
            f"{NAME} = " + " ".join(f"{k}={_quoted(v)}" for k, v in database.items() if v),
            "[pgbouncer]",
            *(f"{key} = {value}" for key, value in settings.items()),
            "",
        ]
    )


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _identity(host: str) -> dict[str, int]:
    """PgBouncer refuses to run as root. Only its owner gets at the embedded server's socket."""
    if os.geteuid() != 0:
        return {"user": os.geteuid(), "group": os.getegid()}
    if host.startswith("/") and Path(host).stat().st_uid != 0:
        owner = Path(host).stat()
        return {"user": owner.st_uid, "group": owner.st_gid}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def _as_user(identity: dict[str, int]) -> dict[str, Any]:
    return {**identity, "extra_groups": []} if os.geteuid() == 0 else {}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _end(process: "subprocess.Popen[bytes]") -> None:
    """From version 1.23 on, SIGTERM lets the clients finish first."""
    process.terminate()
    try:
        process.wait(timeout=3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
