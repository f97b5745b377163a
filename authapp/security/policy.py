"""The security policy: the session's user is the request's identity."""

from typing import Any
from uuid import UUID

from pyramid.authorization import ACLHelper, Authenticated, Everyone
from pyramid.interfaces import IRequest, ISecurityPolicy
from pyramid.security import Allowed
from zope.interface import implementer

from authapp.domain.second_factor import SecondFactorPolicy
from authapp.domain.users import PERMISSIONS, Role, User


@implementer(ISecurityPolicy)
class SessionSecurityPolicy:
    """Needs no statement of its own: the user is loaded in the SELECT that loads the session.

    Where `second_factor` demands one, an administrator without may what members may.
    """

    def __init__(self, second_factor: SecondFactorPolicy | None = None) -> None:
        self._second_factor = second_factor or SecondFactorPolicy()

    def identity(self, request: IRequest) -> User | None:
        """The user who is signed in, as of the request's beginning; a disabled one is nobody."""
        user: User | None = request.session.owner
        return user if user is not None and user.is_active else None

    def authenticated_userid(self, request: IRequest) -> str | None:
        user = self.identity(request)
        return str(user.id) if user is not None else None

    def permits(self, request: IRequest, context: Any, permission: str) -> Any:
        """A role's permissions hold everywhere; resources of the application's own may grant more
        by an `__acl__`, to `role:NAME` and `user:ID`."""
        user = self.identity(request)
        if user is not None and permission in self._permissions(user):
            return Allowed(f"the role {user.role!r} has the permission {permission!r}")
        return ACLHelper().permits(context, self._principals(user), permission)

    def remember(
        self, request: IRequest, userid: UUID | str, *, persistent: bool | None = None, **kw: Any
    ) -> list[tuple[str, str]]:
        """Signs the user with this id in, under a new token. There are no headers: the cookie is
        set by the session, once its row is committed. `persistent` makes it outlive the browser."""
        request.session.sign_in(UUID(str(userid)), persistent=persistent)
        return []

    def forget(self, request: IRequest, **kw: Any) -> list[tuple[str, str]]:
        """Ends the session; again, the cookie is the session's business."""
        request.session.invalidate()
        return []

    def _permissions(self, user: User) -> frozenset[str]:
        is_missing = self._second_factor.is_missing(user)
        return PERMISSIONS[Role.MEMBER] if is_missing else user.permissions

    def _principals(self, user: User | None) -> list[str]:
        if user is None:
            return [Everyone]
        principals = [Everyone, Authenticated, f"user:{user.id}"]
        if not self._second_factor.is_missing(user):
            principals.append(f"role:{user.role}")
        return principals
