"""Where something is, or somebody: the site, the database, the mail server, whom to ask."""

import re
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parseaddr
from ipaddress import IPv6Address
from urllib.parse import quote, unquote, urlsplit

_SITE = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[^]]*\])(:(?P<port>\d+))?/?")
_PORTS = {"http": 80, "https": 443}
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_WEB_PAGE = re.compile(r"https?://[^\s/?#@]+[^\s]*")


def read_url(text: str) -> str:
    """The origin, as browsers write it: in small letters, and without the scheme's own port."""
    match = _SITE.fullmatch(text.lower())
    port = int(match["port"] or 0) if match else 0
    if match is None or (match["port"] and not 0 < port < 65536) or not _is_host(match["host"]):
        raise ValueError("an address such as https://accounts.example.com, without a path")
    origin = f"{match['scheme']}://{match['host']}"
    return f"{origin}:{port}" if port not in {0, _PORTS[match["scheme"]]} else origin


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return True
    try:
        IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def read_database_url(text: str) -> str:
    if text.startswith("embedded:") and len(text) > len("embedded:"):
        return text
    scheme, separator, rest = text.partition("://")
    if separator and rest and scheme in {"postgresql", "postgresql+psycopg2", "postgres"}:
        authority = rest.partition("/")[0].rpartition("@")[2]
        ports = (port for host in authority.split(",") for port in [host.rpartition("]")[2]])
        if all(re.fullmatch(r"[^:]*(:\d*)?", port) for port in ports):
            return f"postgresql://{rest}"
    raise ValueError("postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE, or embedded:PATH")


def read_mail_url(text: str) -> str:
    scheme, _, rest = text.partition(":")
    if text == "console:" or (scheme == "directory" and rest):
        return text
    with suppress(ValueError):
        if scheme in {"smtp", "smtps"} and _is_mail_server(text):
            return text
    raise ValueError("console:, directory:PATH, smtp://HOST:PORT or smtps://USER:PASSWORD@HOST")


def _is_mail_server(url: str) -> bool:
    """Raises `ValueError` too, as for a port that is no number."""
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0 or parts.path.strip("/") or parts.query:
        return False
    # What signs in to a mail server is sent as ASCII.
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return (user + password).isascii() and (bool(user) or not password)


def read_mail_sender(text: str) -> str:
    address = parseaddr(text)[1]
    if not _EMAIL.fullmatch(address) or not text.isprintable():
        raise ValueError("an e-mail address, such as Accounts <accounts@example.com>")
    return text


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to ask: as it is shown, and as a link."""

    text: str
    href: str


def read_contact(text: str) -> Contact:
    if text.isprintable() and _WEB_PAGE.fullmatch(text):
        return Contact(text, text)
    if text.isprintable() and _EMAIL.fullmatch(text):
        return Contact(text, f"mailto:{quote(text, safe='@+')}")
    raise ValueError("an e-mail address, or an address such as https://example.com/help")
