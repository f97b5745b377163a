"""The web session, in PostgreSQL and part of the request's transaction.

`config.include("authapp.sessions")` gives any Pyramid application with a `request.dbsession`
this session store alone, without the accounts.
"""

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import IRequest, IViewDeriverInfo
from pyramid.response import Response
from pyramid.viewderivers import INGRESS

from authapp.domain.sessions import purge
from authapp.sessions.errors import (
    SessionConflict,
    SessionLost,
    SessionNotAllowed,
    SessionNotWritable,
    SessionTooLarge,
)
from authapp.sessions.factory import SessionFactory
from authapp.sessions.session import SESSION_MODE, Session, SessionMode

__all__ = [
    "Session",
    "SessionConflict",
    "SessionFactory",
    "SessionLost",
    "SessionMode",
    "SessionNotAllowed",
    "SessionNotWritable",
    "SessionTooLarge",
    "purge",
]

View = Callable[[Any, IRequest], Response]


def includeme(config: Configurator) -> None:
    config.add_view_deriver(session_view, "session", under=INGRESS, over="secured_view")
    # By name: only the composition root knows which store stands behind the port.
    config.include("authapp.wiring.sessions")


def session_view(view: View, info: IViewDeriverInfo) -> View:
    """The view option `session="none" | "readonly" | "no_touch"`.

    It goes over the check of permissions, which reads the session first.
    """
    if info.options.get("session") is None:
        return view
    mode = SessionMode(info.options["session"])

    def view_in_mode(context: Any, request: IRequest) -> Response:
        request.environ[SESSION_MODE] = mode
        return view(context, request)

    return view_in_mode


session_view.options = ("session",)  # type: ignore[attr-defined]  # Pyramid's way to declare it.
