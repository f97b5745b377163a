"""The session factory: makes `request.session`.

The order of events in a request that changes its session:

1. the view changes the mapping; nothing is written yet;
2. the view returns, and pyramid_tm commits: the session's before-commit hook writes the changes
   through `request.dbsession`, in the same transaction as everything else;
3. the after-commit hook learns whether the commit succeeded;
4. Pyramid calls the response callbacks, which run after all tweens: the cookie is set, only if
   the row that it names has been committed.
"""

from collections.abc import Callable

from pyramid.httpexceptions import HTTPServiceUnavailable
from pyramid.interfaces import IRequest, ISessionFactory
from zope.interface import implementer

from authapp.domain.sessions import SessionStore
from authapp.sessions.cookie import CookieJar
from authapp.sessions.session import LOCK_SESSION, Session
from authapp.settings import SessionSettings


@implementer(ISessionFactory)
class SessionFactory:
    """`stores` gives the store of a request; it is called when the session is first used."""

    def __init__(
        self, settings: SessionSettings, stores: Callable[[IRequest], SessionStore]
    ) -> None:
        self._stores = stores
        self._max_size = settings.max_size
        self._rolling = settings.rolling
        self._jar = CookieJar(settings)

    def __call__(self, request: IRequest) -> Session:
        session = Session(
            request,
            self._jar,
            self._stores(request),
            max_size=self._max_size,
            rolling=self._rolling,
            # A request that lost a race runs again with the row's lock, so that it cannot lose
            # a second time. The environ outlives the request, which pyramid_retry makes anew.
            lock=request.environ.get(LOCK_SESSION, False),
        )
        request.add_response_callback(session.set_cookie)
        return session


def conflict(error: Exception, request: IRequest) -> HTTPServiceUnavailable:
    """What is answered when every run of a request lost the race for the same key."""
    return HTTPServiceUnavailable(headers={"Retry-After": "1"})
