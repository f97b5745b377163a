"""A proxy in front of PostgreSQL that reads along, and that can be cut like a network cable."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg2
from sqlalchemy import URL, make_url


class Wire:
    """Listens on 127.0.0.1 for clients of the server that `url` names.

    `statements` has the text of every message with which a client made the server work: one
    message is one round trip, BEGIN and COMMIT included.
    """

    def __init__(self, url: str) -> None:
        self.statements: list[str] = []
        self._server = make_url(url)
        with closing(psycopg2.connect(_dsn(self._server))) as connection:
            info: Any = connection.info
            self._host, self._port = info.host, info.port
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listen(0)

    @property
    def url(self) -> str:
        # What is encrypted could not be read.
        plain = {"sslmode": "disable", "gssencmode": "disable"}
        url = self._server.set(host="127.0.0.1", port=self._local_port, query=plain)
        return url.render_as_string(hide_password=False)

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """Empties `statements` and yields them, to be filled by what is done meanwhile."""
        self.statements.clear()
        yield self.statements

    def cut(self) -> None:
        """Ends all connections and accepts no new ones, as a server does that goes down."""
        _hang_up(self._listener)
        self._acceptor.join()
        self._listener.close()
        for end in self._sockets:
            _hang_up(end)
        for thread in self._threads:
            thread.join()
        for end in self._sockets:
            end.close()
        self._sockets.clear()
        self._threads.clear()

    def mend(self) -> None:
        self._listen(self._local_port)

    def _listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._local_port: int = self._listener.getsockname()[1]
        self._acceptor = _started(self._accept)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                self._sockets += client, server
                self._threads += (
                    _started(self._forward_statements, client, server),
                    _started(_forward_answers, server, client),
                )

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return server

    def _forward_statements(self, client: socket.socket, server: socket.socket) -> None:
        # https://www.postgresql.org/docs/current/protocol-message-formats.html: the first message
        # has no type, and each length counts itself.
        with suppress(OSError, struct.error), closing(client.makefile("rb")) as stream:
            (length,) = struct.unpack("!i", stream.read(4))
            server.sendall(struct.pack("!i", length) + stream.read(length - 4))
            while head := stream.read(5):
                kind, length = struct.unpack("!ci", head)
                body = stream.read(length - 4)
                if kind in b"QE":
                    self.statements.append(body.rstrip(b"\0").decode(errors="replace"))
                server.sendall(head + body)
        _hang_up(server)


def _forward_answers(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while data := server.recv(65536):
            client.sendall(data)
    _hang_up(client)


def _started(work: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
