"""What matters takes a sign-in that is recent: the view option `recent=True`."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pyramid.httpexceptions import HTTPForbidden
from pyramid.interfaces import IRequest, IViewDeriverInfo
from pyramid.response import Response

# The key in the session. The time is the database's, so that clocks need not agree.
CONFIRMED_AT = "authapp.confirmed_at"

View = Callable[[Any, IRequest], Response]


def recent_view(view: View, info: IViewDeriverInfo) -> View:
    """The view option `recent=True`: whoever is signed in must have given the password lately.

    Raises `ConfirmationRequired`, which the pages answer, before the view runs.
    """
    if not info.options.get("recent"):
        return view

    def view_after_confirmation(context: Any, request: IRequest) -> Response:
        if request.identity is None:
            raise HTTPForbidden
        request.services.confirmations.check(confirmed_at(request))
        return view(context, request)

    return view_after_confirmation


recent_view.options = ("recent",)  # type: ignore[attr-defined]  # Pyramid's way to declare it.


def confirmed_at(request: IRequest) -> datetime | None:
    """When the password was given last in this session, as far as that is known."""
    time = request.session.get(CONFIRMED_AT)
    return time if isinstance(time, datetime) and time.tzinfo is not None else None
