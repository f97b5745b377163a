"""A word to somebody who has deleted their account: there is no session left that could keep it for
the next page, so that a cookie does, for a minute. It says nothing of whose account it was."""

from datetime import timedelta

from pyramid.interfaces import IRequest
from pyramid.response import Response

from authapp.security.commits import once_committed
from authapp.sessions.cookie import SiteCookie
from authapp.settings import SessionSettings

LIFETIME = timedelta(minutes=1)
_VALUE = "deleted"


class Farewell:
    def __init__(self, settings: SessionSettings) -> None:
        self._cookie = SiteCookie(settings, "farewell")

    def say(self, request: IRequest) -> None:
        """On the next page, if the request is committed."""

        def tell(request: IRequest, response: Response) -> None:
            self._cookie.set(request, response, _VALUE, max_age=LIFETIME)

        once_committed(request, tell)

    def is_due(self, request: IRequest) -> bool:
        """Whether it is to be said now, and not again."""
        if _VALUE not in self._cookie.values(request):
            return False
        request.add_response_callback(self._said)
        return True

    def _said(self, request: IRequest, response: Response) -> None:
        self._cookie.clear(request, response)
        response.cache_control = "no-store"
        response.vary = (*(response.vary or ()), "Cookie")
