"""Browsers in which somebody has signed in before, after OWASP "Slow Down Online Guessing Attacks
with Device Cookies".

Whoever attacks an account from elsewhere uses up the attempts of everybody but of those who hold
such a cookie: each of them has attempts of its own. That, and that a sign-in with it is not one
with a new browser, is all that it grants. It stays when the person signs out.

A cookie is `VERSION ID USER SINCE . SIGNATURE`: a random id, the account's id, and the time when it
was given, in seconds since the epoch.
"""

import re
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pyramid.interfaces import IRequest
from pyramid.response import Response

from authapp.sessions.cookie import Signer, SiteCookie
from authapp.settings import SessionSettings

LIFETIME = timedelta(days=365)
# One that is in use is given anew after so long.
RENEWAL = timedelta(days=90)

_VALUE = re.compile(
    r"(?P<signed>1~(?P<id>[\w-]{22})~(?P<user>[0-9a-f]{32})~(?P<since>\d{1,12}))"
    r"\.(?P<signature>[\w-]{43})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class KnownBrowser:
    """`user_id` has signed in with the browser; `id` names this one of theirs."""

    id: str
    user_id: UUID
    since: int

    @classmethod
    def new(cls, user_id: UUID) -> "KnownBrowser":
        return cls(secrets.token_urlsafe(16), user_id, int(time.time()))

    @property
    def age(self) -> timedelta:
        return timedelta(seconds=time.time() - self.since)


class KnownBrowserSigner:
    """Turns known browsers into cookie values and back."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._signer = Signer(secrets, "authapp known browser")

    def dumps(self, browser: KnownBrowser) -> str:
        return self._signer.sign(f"1~{browser.id}~{browser.user_id.hex}~{browser.since}")

    def loads(self, value: str) -> KnownBrowser | None:
        """None for anything that was not signed here, and for what is too old."""
        match = _VALUE.fullmatch(value)
        if match is None or not self._signer.is_signed(match["signed"], match["signature"]):
            return None
        browser = KnownBrowser(match["id"], UUID(match["user"]), int(match["since"]))
        return browser if browser.age <= LIFETIME else None


class KnownBrowsers:
    """Reads the cookie from requests, and gives it out."""

    def __init__(self, settings: SessionSettings) -> None:
        self._cookie = SiteCookie(settings, "device")
        self._signer = KnownBrowserSigner(settings.secret)

    def of_request(self, request: IRequest) -> KnownBrowser | None:
        found = (self._signer.loads(value) for value in self._cookie.values(request))
        return next((browser for browser in found if browser is not None), None)

    def remember(self, request: IRequest, user_id: UUID) -> None:
        """Makes the browser known to the account, if the request is committed."""
        known = self.of_request(request)
        if known is not None and known.user_id == user_id and known.age < RENEWAL:
            return
        self._tell_when_committed(request, self._signer.dumps(KnownBrowser.new(user_id)))

    def forget(self, request: IRequest) -> None:
        """Makes it unknown to all accounts, if the request is committed."""
        if self.of_request(request) is not None:
            self._tell_when_committed(request, None)

    def _tell_when_committed(self, request: IRequest, value: str | None) -> None:
        outcomes: list[bool] = []

        # Response callbacks run after the commit, and for error pages too.
        def tell(request: IRequest, response: Response) -> None:
            if outcomes != [True]:
                return
            if value is None:
                self._cookie.clear(request, response)
            else:
                self._cookie.set(request, response, value, max_age=LIFETIME)

        request.tm.get().addAfterCommitHook(outcomes.append)
        request.add_response_callback(tell)
