"""Browsers in which somebody has signed in before, after OWASP "Slow Down Online Guessing Attacks
with Device Cookies".

Whoever attacks an account from elsewhere uses up the attempts of everybody but of those who hold
such a cookie: each of them has attempts of its own. That, and that a sign-in with it is not one
with a new browser, is all that it grants. It stays when the person signs out, and is worth nothing
once the password is another.

A cookie is `VERSION ID USER SINCE ID USER SINCE … . SIGNATURE`, for a few accounts, as people share
browsers: a random id, the account's id, and the time when it signed in, in microseconds since the
epoch, so that it compares with the time at which the password was changed.
"""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pyramid.interfaces import IRequest
from pyramid.response import Response

from authapp.domain.users import User
from authapp.domain.visitors import KnownBrowser
from authapp.security.commits import once_committed
from authapp.sessions.cookie import Signer, SiteCookie
from authapp.settings import SessionSettings

LIFETIME = timedelta(days=365)
# One that is in use is given anew after so long.
RENEWAL = timedelta(days=90)
# As many accounts share a browser; of more, those to which it became known last.
MAX_ACCOUNTS = 4

_ENTRY = r"~([\w-]{22})~([0-9a-f]{32})~(\d{1,17})"
_ENTRIES = re.compile(_ENTRY, re.ASCII)
_VALUE = re.compile(
    rf"(?P<signed>1(?:{_ENTRY}){{1,{MAX_ACCOUNTS}}})\.(?P<signature>[\w-]{{43}})", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class KnownBrowserSigner:
    """Turns what a browser is to several accounts into a cookie's value, and back."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._signer = Signer(secrets, "authapp known browser")

    def dumps(self, browsers: Sequence[KnownBrowser]) -> str:
        return self._signer.sign("1" + "".join(map(_entry, browsers)))

    def loads(self, value: str) -> Sequence[KnownBrowser]:
        """None at all for anything that was not signed here, and none that is too old."""
        match = _VALUE.fullmatch(value)
        if match is None or not self._signer.is_signed(match["signed"], match["signature"]):
            return ()
        oldest = datetime.now(UTC) - LIFETIME
        browsers = (
            KnownBrowser(browser_id, UUID(user), _EPOCH + int(since) * _MICROSECOND)
            for browser_id, user, since in _ENTRIES.findall(match["signed"])
        )
        return tuple(browser for browser in browsers if browser.since >= oldest)


class KnownBrowsers:
    """Reads the cookie from requests, and gives it out."""

    def __init__(self, settings: SessionSettings) -> None:
        self._cookie = SiteCookie(settings, "device")
        self._signer = KnownBrowserSigner(settings.secret)

    def of_request(self, request: IRequest) -> Sequence[KnownBrowser]:
        """What the browser is to each account that has signed in with it, the newest first."""
        found = map(self._signer.loads, self._cookie.values(request))
        return next(filter(None, found), ())

    def remember(self, request: IRequest, user: User, since: datetime) -> None:
        """Makes the browser known to the account, which was signed in to or had its password
        changed at `since`, if the request is committed."""
        browsers = self.of_request(request)
        if any(b.is_known_to(user) and since - b.since < RENEWAL for b in browsers):
            return
        new = KnownBrowser(secrets.token_urlsafe(16), user.id, since)
        kept = [new, *_without(browsers, user.id)][:MAX_ACCOUNTS]
        self._tell_when_committed(request, self._signer.dumps(kept))

    def forget(self, request: IRequest, user_id: UUID) -> None:
        """Makes it unknown to the account, if the request is committed."""
        browsers = self.of_request(request)
        kept = _without(browsers, user_id)
        if len(kept) < len(browsers):
            self._tell_when_committed(request, self._signer.dumps(kept) if kept else None)

    def _tell_when_committed(self, request: IRequest, value: str | None) -> None:
        def tell(request: IRequest, response: Response) -> None:
            if value is None:
                self._cookie.clear(request, response)
            else:
                self._cookie.set(request, response, value, max_age=LIFETIME)

        once_committed(request, tell)


def _without(browsers: Sequence[KnownBrowser], user_id: UUID) -> Sequence[KnownBrowser]:
    return [browser for browser in browsers if browser.user_id != user_id]


def _entry(browser: KnownBrowser) -> str:
    since = (browser.since - _EPOCH) // _MICROSECOND
    return f"~{browser.id}~{browser.user_id.hex}~{since}"
