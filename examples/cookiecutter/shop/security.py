"""Who is signed in: whoever the session says."""

from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import ISecurityPolicy
from pyramid.request import Request
from pyramid.security import Allowed, Denied
from zope.interface import implementer

from shop.models import User


@implementer(ISecurityPolicy)
class SecurityPolicy:
    def identity(self, request: Request) -> User | None:
        user_id = request.session.user_id
        return request.dbsession.get(User, user_id) if user_id is not None else None

    def authenticated_userid(self, request: Request) -> int | None:
        # No query: a session goes with its user, as its foreign key says.
        user_id: int | None = request.session.user_id
        return user_id

    def permits(self, request: Request, context: Any, permission: str) -> Allowed | Denied:
        """Whoever is signed in may do everything."""
        if request.session.user_id is None:
            return Denied("nobody is signed in")
        return Allowed("signed in")

    def remember(self, request: Request, userid: int, **kw: Any) -> list[tuple[str, str]]:
        """The session sets its cookie by itself, after the commit: there are no headers."""
        request.session.sign_in(userid)
        return []

    def forget(self, request: Request, **kw: Any) -> list[tuple[str, str]]:
        request.session.invalidate()
        return []


def includeme(config: Configurator) -> None:
    config.set_security_policy(SecurityPolicy())
    config.set_default_csrf_options(require_csrf=True)
