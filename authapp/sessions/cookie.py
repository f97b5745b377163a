"""The session's cookie: a random token, signed, so that a forged one never reaches the database.

A cookie is `KIND TOKEN . SIGNATURE`. The token has 256 bits. The kind says whether a row may
stand behind it: a visitor who has nothing to keep gets a token, from which the CSRF token of the
forms is derived, but no row, and such a cookie costs the database nothing either.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from pyramid.interfaces import IRequest
from pyramid.response import Response
from webob.cookies import make_cookie

from authapp.settings import SessionSettings

TOKEN_BYTES = 32
VISITOR, STORED = "v", "s"
MAX_TICKETS = 4  # Of one request; a browser has no more by accident.

_VALUE = re.compile(
    r"(?P<signed>(?P<kind>[vs])(?P<token>[\w-]{43}))\.(?P<signature>[\w-]{43})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a cookie says: a token, and whether a row may stand behind it."""

    token: bytes = field(repr=False)
    stored: bool

    @classmethod
    def new(cls, *, stored: bool) -> "Ticket":
        return cls(secrets.token_bytes(TOKEN_BYTES), stored)

    @property
    def token_hash(self) -> bytes:
        """All that the database ever sees of the token."""
        return hashlib.sha256(self.token).digest()

    @property
    def csrf_token(self) -> str:
        """Bound to the token, so that it changes whenever the token does; it does not reveal it
        (OWASP CSRF Prevention Cheat Sheet, "Signed Double-Submit Cookie")."""
        return _encode(hmac.digest(self.token, b"authapp csrf token", "sha256"))


# Instead of a ticket: the browser is to forget the one it holds.
CLEAR = Ticket(b"", stored=False)


@dataclass(slots=True)
class News:
    """What the browser is to be told at the end of a request: a ticket, CLEAR, or nothing."""

    anyway: Ticket | None = None
    if_committed: Ticket | None = None

    def at_the_end(self, *, committed: bool) -> Ticket | None:
        return self.if_committed if committed and self.if_committed else self.anyway


class Signer:
    """Signs text for one purpose. The first secret signs, all of them verify."""

    def __init__(self, secrets: Sequence[str], purpose: str) -> None:
        self._keys = [
            hashlib.sha256(f"{purpose}\0{secret}".encode()).digest() for secret in secrets
        ]

    def sign(self, text: str) -> str:
        return f"{text}.{_signature(self._keys[0], text)}"

    def is_signed(self, text: str, signature: str) -> bool:
        """The signature is compared as text, so that no second spelling of it is accepted, and in
        constant time. Both have to be ASCII."""
        signatures = (_signature(key, text) for key in self._keys)
        return any(hmac.compare_digest(right, signature) for right in signatures)


class TicketSigner:
    """Turns tickets into cookie values and back. The first secret signs, all of them verify."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._signer = Signer(secrets, "authapp session cookie")

    def dumps(self, ticket: Ticket) -> str:
        return self._signer.sign((STORED if ticket.stored else VISITOR) + _encode(ticket.token))

    def loads(self, value: str) -> Ticket | None:
        """The ticket in a cookie's value, or None for anything that was not signed here."""
        match = _VALUE.fullmatch(value)
        if match is None or not self._signer.is_signed(match["signed"], match["signature"]):
            return None
        return Ticket(_decode(match["token"]), match["kind"] == STORED)


class SiteCookie:
    """A cookie with the attributes that the settings give the session's: HttpOnly, SameSite, its
    domain and path, Secure and `__Host-` where they can be."""

    def __init__(self, settings: SessionSettings, name: str) -> None:
        """`name` is the one without a prefix."""
        self._settings = settings
        self._plain_name = name

    def name(self, request: IRequest) -> str:
        settings = self._settings
        if settings.cookie_name is not None:
            is_host_only = settings.cookie_name.lower().startswith("__host-")
        else:
            has_own_host = settings.cookie_domain is None and settings.cookie_path == "/"
            is_host_only = has_own_host and self._is_secure(request)
        return f"__Host-{self._plain_name}" if is_host_only else self._plain_name

    def values(self, request: IRequest) -> Iterator[str]:
        """All that the request brings under the name: anybody's, and in any state."""
        return _cookie_values(request, self.name(request))

    def set(
        self, request: IRequest, response: Response, value: str, *, max_age: timedelta | None
    ) -> None:
        """Without `max_age` it lasts until the browser is closed."""
        self._set(request, response, value, max_age)

    def clear(self, request: IRequest, response: Response) -> None:
        """Makes the browser forget the cookie; the attributes are those it was set with."""
        self._set(request, response, None, timedelta(0))

    def _set(
        self,
        request: IRequest,
        response: Response,
        value: str | None,
        max_age: timedelta | None,
    ) -> None:
        settings = self._settings
        is_secure = self._is_secure(request)
        # Browsers refuse these two without Secure. Over plain http, where "auto" leaves that out,
        # the cookie has what they take it for without any attribute: Lax, and not partitioned.
        is_refused = settings.cookie_samesite == "None" and not is_secure
        cookie = make_cookie(
            self.name(request),
            value,
            max_age=max_age,
            path=settings.cookie_path,
            domain=settings.cookie_domain,
            secure=is_secure,
            httponly=True,
            samesite=None if is_refused else settings.cookie_samesite,
        )
        if settings.cookie_partitioned and is_secure:
            cookie += "; Partitioned"  # WebOb does not know it yet.
        response.headers.add("Set-Cookie", cookie)

    def _is_secure(self, request: IRequest) -> bool:
        if self._settings.cookie_secure == "auto":
            return bool(request.scheme == "https")
        return self._settings.cookie_secure == "true"


class SessionCookie(SiteCookie):
    """The session's own, whose name is a setting."""

    def __init__(self, settings: SessionSettings) -> None:
        super().__init__(settings, "session")

    def name(self, request: IRequest) -> str:
        return self._settings.cookie_name or super().name(request)


class CookieJar:
    """Reads the session's cookie from requests and writes it to responses, as the settings say."""

    def __init__(self, settings: SessionSettings) -> None:
        self._lifetime = settings.lifetime
        self._cookie = SessionCookie(settings)
        self._signer = TicketSigner(settings.secret)

    def read(self, request: IRequest) -> tuple[Ticket, ...]:
        """The tickets that the request brings, one as a rule: there are more where the cookie's
        path or domain was changed in the settings, and browsers still have the old one. Garbage is
        no ticket, and never an error."""
        tickets = (self._signer.loads(value) for value in self._cookie.values(request))
        distinct = dict.fromkeys(ticket for ticket in tickets if ticket is not None)
        return tuple(islice(distinct, MAX_TICKETS))

    def write(
        self, request: IRequest, response: Response, ticket: Ticket, *, persistent: bool
    ) -> None:
        """Sets the cookie: for the session's whole lifetime, or until the browser is closed."""
        value = self._signer.dumps(ticket)
        max_age = self._lifetime if persistent else None
        self._cookie.set(request, response, value, max_age=max_age)

    def clear(self, request: IRequest, response: Response) -> None:
        """Makes the browser forget the cookie; the attributes are those it was set with."""
        self._cookie.clear(request, response)


def _cookie_values(request: IRequest, name: str) -> Iterator[str]:
    """All values of the cookie `name`, straight from the header.

    Another host of the same domain can set a second cookie of the same name, and WebOb raises
    UnicodeDecodeError for some values of cookies that are not ours; neither may cost a session.
    """
    header = request.environ.get("HTTP_COOKIE", "")
    for pair in header.split(";"):
        key, separator, value = pair.strip().partition("=")
        if separator and key == name:
            yield value.strip('"')


def _signature(key: bytes, signed: str) -> str:
    return _encode(hmac.digest(key, signed.encode(), "sha256"))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=")
