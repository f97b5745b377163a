"""A real SMTP server on this machine, that keeps what it is sent, and can be told to misbehave."""

import datetime as dt
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "app@example.com", "p/w: 100%"
URL_USER, URL_PASSWORD = "app%40example.com", "p%2Fw%3A%20100%25"


@dataclass
class Received:
    """A message as it has come in; `raw` is all of it."""

    sender: str
    recipients: list[str]
    raw: bytes
    is_encrypted: bool
    user: str | None

    @property
    def mail(self) -> EmailMessage:
        mail = message_from_bytes(self.raw, policy=policy.SMTP)
        assert isinstance(mail, EmailMessage)
        return mail


@dataclass
class MailServer:
    """What the server has received, and what it is to do: `refusals` has answers by recipient,
    `data_answer` is the one to a message, `delay` the seconds that it takes over each."""

    port: int
    received: list[Received] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 accepted"
    delay: float = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server, session, envelope):
        # In the way of the server's own loop alone: each has a thread of its own.
        time.sleep(self.delay)
        if self.data_answer.startswith("250"):
            user = session.auth_data.login.decode() if session.auth_data else None
            self.received.append(
                Received(
                    envelope.mail_from,
                    envelope.rcpt_tos,
                    envelope.original_content,
                    server.transport.get_extra_info("sslcontext") is not None,
                    user,
                )
            )
        return self.data_answer

    def authenticate(self, server, session, envelope, mechanism, data):
        is_right = isinstance(data, LoginPassword) and data == LoginPassword(
            USER.encode(), PASSWORD.encode()
        )
        return AuthResult(success=is_right, handled=False, auth_data=data)

    def wait_for(self, number: int) -> list[Received]:
        deadline = time.monotonic() + 10
        while len(self.received) < number:
            assert time.monotonic() < deadline, f"{len(self.received)} messages have come"
            time.sleep(0.01)
        return self.received


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(server: MailServer, **options: Any) -> Iterator[MailServer]:
    """The server is up; it may be so more than once, at the same port."""
    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=server.port,
        authenticator=server.authenticate,
        enable_SMTPUTF8=options.pop("utf8", True),
        **options,
    )
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def make_certificate(folder: Path, address: str = "127.0.0.1") -> Path:
    """A certificate that nobody has signed but itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail server of the tests")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
