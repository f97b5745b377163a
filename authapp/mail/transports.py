"""Where messages go: to a server, into a folder, or onto the console."""

import re
import smtplib
import ssl
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from authapp.domain.mail import Message, Transport, TransportError
from authapp.settings import MailSettings, SiteSettings

# For each step of the conversation. All of them together stay below the lease of a letter.
SMTP_TIMEOUT = 20.0
# RFC 5322 section 2.1.1, less the line break and some change.
_LONGEST_LINE = 900
# A server may quote the message in what it says about it, and the message has a token in it.
_TOKEN = re.compile(r"[\w-]{40,}", re.ASCII)
_LONGEST_REASON = 300
_UNFIT_FOR_A_FILE = re.compile(r"[^\w.@+-]+", re.ASCII)


def transport_for(mail: MailSettings, site: SiteSettings) -> Transport:
    """The transport that `mail.url` names."""
    compose = Composer(mail.sender, urlsplit(site.url).hostname or "localhost")
    scheme, _, rest = mail.url.partition(":")
    if scheme == "console":
        return ConsoleTransport(compose)
    if scheme == "directory":
        return DirectoryTransport(compose, Path(rest).expanduser())
    return SmtpTransport(compose, mail.url)


class Composer:
    """Makes e-mail of messages, from `sender`, at the site `host`."""

    def __init__(self, sender: str, host: str) -> None:
        name, self.sender = parseaddr(sender)
        self.host = f"[{host}]" if ":" in host else host
        self._from = _address(self.sender, name)

    def __call__(self, message: Message) -> EmailMessage:
        """Raises `ValueError` for a line break in what becomes a header."""
        mail = EmailMessage(self.policy_for(message))
        mail["From"] = self._from
        mail["To"] = _address(message.recipient)
        mail["Subject"] = message.subject
        mail["Date"] = datetime.now(UTC)
        mail["Message-ID"] = f"<{message.id}@{self.host}>"
        # RFC 3834: no holiday notice is to answer.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text, cte=_encoding_for(message.text))
        mail.add_alternative(message.html, subtype="html", cte=_encoding_for(message.html))
        return mail

    def policy_for(self, message: Message) -> "EmailPolicy[EmailMessage]":
        """An address with other letters than ASCII has no other spelling: it takes RFC 6532."""
        return SMTP.clone(utf8=not (self.sender + message.recipient).isascii())


class ConsoleTransport:
    """For development: shows what would be sent. Not by logging, as the text has links in it that
    no log may keep."""

    def __init__(self, compose: Composer) -> None:
        self._compose = compose

    def send(self, message: Message) -> None:
        mail = self._compose(message)
        headers = (f"{name}: {mail[name]}" for name in ("From", "To", "Subject", "Date"))
        rule = "-" * 72
        lines = [rule, *headers, "", message.text.rstrip(), rule]
        # In one piece, so that messages of several threads do not mix.
        sys.stderr.write(_printable("\n".join(lines)) + "\n")
        sys.stderr.flush()


class DirectoryTransport:
    """For development and tests: a file for each message, for any mail program to open."""

    def __init__(self, compose: Composer, folder: Path) -> None:
        self._compose = compose
        self._folder = folder

    def send(self, message: Message) -> None:
        content = self._compose(message).as_bytes()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(content, self._folder / _file_name(message))
        except OSError as error:
            raise TransportError(f"{self._folder}: {error.strerror}") from error

    def _write(self, content: bytes, path: Path) -> None:
        """Who looks into the folder sees whole messages only."""
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)


class SmtpTransport:
    """By `smtp://`, encrypted where the server offers it, or by `smtps://`, encrypted at once.

    A password is never sent unencrypted, but for a server on this machine. Certificates are
    verified, but for that one's.
    """

    def __init__(self, compose: Composer, url: str) -> None:
        parts = urlsplit(url)
        self._compose = compose
        self._is_smtps = parts.scheme == "smtps"
        self._host = parts.hostname or ""
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password or "")
        default_port = 465 if self._is_smtps else 587 if self._user else 25
        self._port = parts.port or default_port

    def send(self, message: Message) -> None:
        mail = self._compose(message)
        is_international = self._compose.policy_for(message).utf8
        try:
            client = self._connect()
            try:
                # Not send_message, which puts a ">" before lines that begin with "From".
                client.sendmail(
                    self._compose.sender,
                    [message.recipient],
                    mail.as_bytes(),
                    ["SMTPUTF8", "BODY=8BITMIME"] if is_international else (),
                )
                # The server has it by now; what it says to a farewell changes nothing.
                with suppress(smtplib.SMTPException, OSError):
                    client.quit()
            finally:
                client.close()
        except (smtplib.SMTPException, OSError) as error:
            raise TransportError(_reason(error), permanent=_is_permanent(error)) from error

    def _connect(self) -> smtplib.SMTP:
        # The name in the greeting is given, as to find it out may take a look-up.
        name, context = self._compose.host, _tls_context(self._host)
        if self._is_smtps:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, name, timeout=SMTP_TIMEOUT, context=context
            )
        else:
            client = smtplib.SMTP(self._host, self._port, name, timeout=SMTP_TIMEOUT)
        try:
            self._introduce(client, context)
        except BaseException:
            client.close()
            raise
        return client

    def _introduce(self, client: smtplib.SMTP, context: ssl.SSLContext) -> None:
        client.ehlo_or_helo_if_needed()
        if not self._is_smtps:
            if client.has_extn("starttls"):
                client.starttls(context=context)
                client.ehlo()
            elif self._user is not None and not _is_this_machine(self._host):
                raise TransportError(
                    "the server offers no STARTTLS, and the password is not sent without"
                )
        if self._user is not None:
            client.login(self._user, self._password)


def _is_permanent(error: Exception) -> bool:
    """Whether it is this message that the server will not have. A refused sender or password is
    something that the operator will put right."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return all(500 <= code < 600 for code, _ in error.recipients.values())
        case smtplib.SMTPDataError():
            return 500 <= error.smtp_code < 600
    return False


def _reason(error: Exception) -> str:
    match error:
        case smtplib.SMTPRecipientsRefused():
            said = "; ".join(_answer(*answer) for answer in error.recipients.values())
        case smtplib.SMTPResponseException():
            said = _answer(error.smtp_code, error.smtp_error)
        case _:
            said = str(error)
    said = " ".join(_TOKEN.sub("…", said).split())
    return f"{type(error).__name__}: {_printable(said)}"[:_LONGEST_REASON]


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {words}"


def _tls_context(host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if _is_this_machine(host):
        # Nobody is in between, and hardly any such server has a certificate for this name.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _address(address: str, name: str = "") -> Address:
    username, _, domain = address.rpartition("@")
    return Address(name, username, domain)


def _encoding_for(text: str) -> str:
    """As it is, wherever that can be, so that links stay whole in what is kept in a folder."""
    if text.isascii() and max(map(len, text.splitlines()), default=0) <= _LONGEST_LINE:
        return "7bit"
    return "quoted-printable"


def _file_name(message: Message) -> str:
    """In the order of time, and to be told from others at a glance: what it is, and to whom."""
    now = datetime.now(UTC)
    words = f"{message.recipient}-{message.subject}"
    readable = _UNFIT_FOR_A_FILE.sub("-", words)[:120]
    return f"{now:%Y%m%d-%H%M%S}-{readable}-{message.id.hex[:8]}.eml"


def _printable(text: str) -> str:
    """Without what a terminal would take for a command."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
