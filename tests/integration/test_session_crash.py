"""kill -9 of a real server, a waitress that pserve runs, while it commits sessions."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from sqlalchemy import text

from authapp.testing import SessionCrashSuite
from authapp.testing.views import INCLUDE
from tests.conftest import app_settings


class Pserve:
    def __init__(self, ini):
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        program = "import sys; from pyramid.scripts.pserve import main; main(sys.argv)"
        command = [sys.executable, "-c", program, str(ini), f"http_port={port}"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def wait_until_it_serves(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                with urlopen(f"{self.url}/healthz", timeout=10):
                    return
            except (URLError, ConnectionError):
                assert self._process.poll() is None, "pserve has ended"
                assert time.monotonic() < deadline, "pserve does not serve"
                time.sleep(0.02)

    def kill(self):
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait(20)


class TestCrash(SessionCrashSuite):
    @pytest.fixture
    def serve(self, migrated_url, tmp_path, engine, db):
        settings = app_settings(migrated_url, pyramid__includes=INCLUDE)
        lines = [f"{key} = {value.replace('%', '%%')}" for key, value in settings.items()]
        server = ["use = egg:waitress", "listen = 127.0.0.1:%(http_port)s", "threads = 8"]
        ini = tmp_path / "crash.ini"
        ini.write_text(
            "\n".join(["[app:main]", "use = egg:authapp", *lines, "[server:main]", *server])
        )

        @contextmanager
        def serve():
            server = Pserve(ini)
            try:
                server.wait_until_it_serves()
                yield server
            finally:
                server.kill()

        yield serve

        # Nothing of the transactions that were torn off is left, not even a lock.
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            connection.execute(text("LOCK TABLE sessions"))
