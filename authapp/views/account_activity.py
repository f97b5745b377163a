"""What happened to one's own account, and whether mail tells of sign-ins."""

import re
from datetime import UTC
from typing import Any

from pyramid.httpexceptions import HTTPBadRequest
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import view_config

from authapp.domain.errors import InvalidInput
from authapp.domain.events import RecordedEvent
from authapp.languages import N_
from authapp.views.activity_words import WARNINGS
from authapp.views.forms import Form
from authapp.views.responses import done, json, page, refused


@view_config(route_name="account_activity", request_method="GET", permission="account")
def show_activity(request: IRequest) -> Response:
    shown = _shown(request)
    if request.wants_json:
        return json({"events": [_body(event) for event in shown["events"]]})
    return page(request, "account_activity", errors={}, **shown)


@view_config(route_name="account_activity_notify", request_method="POST", permission="account")
def change_notify(request: IRequest) -> Response:
    form = Form(request, "notify")
    try:
        form.check()
    except InvalidInput as error:
        return refused(request, "account_activity", form, error.problems, **_shown(request))
    notify = form.ticked("notify")
    request.services.activity.notify_sign_in(request.identity.id, notify)
    if not request.wants_json:
        _ = request.language.gettext
        on, off = (
            _("You get an email about sign-ins with new browsers."),
            _("You no longer get emails about sign-ins with new browsers."),
        )
        request.session.flash(on if notify else off, "success")
    return done(request, location=request.route_path("account_activity"), status=204)


def _shown(request: IRequest) -> dict[str, Any]:
    found = request.services.activity.of_user(request.identity.id, before=_before(request))
    return {
        "user": request.identity,
        "events": found.events,
        "older": found.older,
        "warnings": WARNINGS,
        "utc": UTC,
    }


def _before(request: IRequest) -> int | None:
    """Raises HTTPBadRequest for what is no id, of which there are none of more digits, and for
    several."""
    text, *others = request.GET.getall("before") or [""]
    if others or (text and not re.fullmatch(r"[0-9]{1,18}", text)):
        raise HTTPBadRequest(
            N_("There is no such part of the list: before= takes the id of an event.")
        )
    return int(text) if text else None


def _body(event: RecordedEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "kind": event.kind,
        "created_at": event.created_at.astimezone(UTC).isoformat(),
        "address": event.address,
        "user_agent": event.user_agent,
        "by_administrator": event.by is not None,
        "details": dict(event.details),
    }
