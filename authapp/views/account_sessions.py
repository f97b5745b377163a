"""Where one is signed in, and signing out there."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any
from uuid import UUID

from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.security import forget
from pyramid.view import exception_view_config, view_config

from authapp.domain.sessions import SessionInfo, SessionNotFound
from authapp.views.errors import error_response
from authapp.views.responses import done, json, page


@view_config(route_name="account_sessions", request_method="GET", permission="account")
def show_sessions(request: IRequest) -> Response:
    current_id = request.session.id
    sessions = _listed(request, current_id)
    if request.wants_json:
        return json({"sessions": [session_body(session, current_id) for session in sessions]})
    return page(request, "account_sessions", sessions=sessions, current_id=current_id)


@view_config(route_name="account_sessions_revoke", request_method="POST", permission="account")
def revoke(request: IRequest) -> Response:
    session_id = _named_session(request)
    if session_id == request.session.id:
        # What the browser holds has to go as well, so this is a sign-out like any other.
        request.services.sign_ins.ended(request.identity)
        forget(request)
        return done(request, location=request.route_path("home"), status=204)
    request.services.own_sessions.end(request.identity, session_id)
    return _ended(request, request.language.gettext("That session has been signed out."))


@view_config(
    route_name="account_sessions_revoke_others", request_method="POST", permission="account"
)
def revoke_others(request: IRequest) -> Response:
    request.services.own_sessions.end_others(request.identity, keep=request.session.id)
    message = request.language.gettext("All other sessions have been signed out.")
    return _ended(request, message)


@exception_view_config(SessionNotFound)
def no_such_session(request: IRequest) -> Response:
    """The same answer for somebody else's session as for one that there never was."""
    _ = request.language.gettext
    return error_response(
        request,
        404,
        "not_found",
        _("It may have ended in the meantime. Nothing was changed."),
        title=_("You have no such session"),
        actions=[(_("Back to your sessions"), request.route_path("account_sessions"))],
    )


def _listed(request: IRequest, current_id: UUID | None) -> Sequence[SessionInfo]:
    """One's own sessions, the one that asks first, then by their last use; times in UTC."""
    sessions = request.services.own_sessions.of_user(request.identity.id)
    return [in_utc(s) for s in sorted(sessions, key=lambda s: s.id != current_id)]


def in_utc(session: SessionInfo) -> SessionInfo:
    """With all its times in UTC."""
    # The database gives them in the time zone that its server happens to have.
    return replace(
        session,
        created_at=session.created_at.astimezone(UTC),
        last_seen_at=session.last_seen_at.astimezone(UTC),
        expires_at=session.expires_at.astimezone(UTC),
    )


def session_body(session: SessionInfo, current_id: UUID | None) -> dict[str, Any]:
    """A session as programs see it."""
    return {
        "id": str(session.id),
        "current": session.id == current_id,
        "user_agent": session.user_agent,
        "address": session.address,
        "created_at": session.created_at.isoformat(),
        "last_seen_at": session.last_seen_at.isoformat(),
        "expires_at": session.expires_at.isoformat(),
    }


def _named_session(request: IRequest) -> UUID:
    """Raises `SessionNotFound` for what is no id: there is no session of that name either."""
    try:
        return UUID(request.matchdict["id"])
    except ValueError:
        raise SessionNotFound from None


def _ended(request: IRequest, message: str) -> Response:
    if not request.wants_json:
        request.session.flash(message, "success")
    return done(request, location=request.route_path("account_sessions"), status=204)
