"""What the pages by which somebody is signed in have in common."""

from pyramid.interfaces import IRequest
from pyramid.security import remember

from authapp.domain.throttle import Visitor
from authapp.domain.users import User


def visitor_of(request: IRequest) -> Visitor:
    return Visitor(request.remote_addr)


def signed_in(
    request: IRequest, user: User, *, persistent: bool | None = None, second_factor: bool = False
) -> None:
    """Signs `user`, who has given all factors that the account has, in to the session."""
    remember(request, user.id, persistent=persistent)
    request.sign_ins.completed(user, visitor_of(request), second_factor=second_factor)
