"""What the pages by which somebody is signed in have in common."""

from datetime import datetime

from pyramid.interfaces import IRequest
from pyramid.security import remember

from authapp.domain.users import User
from authapp.domain.visitors import Visitor
from authapp.security.known_browsers import KnownBrowsers
from authapp.security.recent import CONFIRMED_AT


def visitor_of(request: IRequest) -> Visitor:
    return Visitor(request.remote_addr, request.registry[KnownBrowsers].of_request(request))


def signed_in(
    request: IRequest, user: User, *, persistent: bool | None = None, second_factor: bool = False
) -> None:
    """Signs `user`, who has given all factors that the account has, in to the session."""
    begin_session(request, user, persistent=persistent)
    request.services.sign_ins.completed(user, visitor_of(request), second_factor=second_factor)


def begin_session(request: IRequest, user: User, *, persistent: bool | None = None) -> None:
    """Makes the session that of `user`, who has just shown who they are, and the browser one that
    is known to the account."""
    remember(request, user.id, persistent=persistent)
    now = request.services.confirmations.now()
    keep_confirmation(request, now)
    request.registry[KnownBrowsers].remember(request, user, now)


def keep_confirmation(request: IRequest, confirmed_at: datetime) -> None:
    """Keeps with the session when the password was given last."""
    request.session[CONFIRMED_AT] = confirmed_at
