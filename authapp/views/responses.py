"""Picking a response: the page, or its JSON twin at the same address."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.interfaces import IRequest
from pyramid.renderers import render_to_response
from pyramid.response import Response

from authapp.domain.errors import Problem
from authapp.domain.throttle import TooManyAttempts
from authapp.domain.users import User
from authapp.security.gate import is_json
from authapp.views import messages
from authapp.views.forms import Form

JSON, HTML = "application/json", "text/html"


def wants_json(request: IRequest) -> bool:
    """Whether to answer in JSON: the body is JSON, or Accept prefers it to HTML."""
    if is_json(request):
        return True
    accept = request.environ.get("HTTP_ACCEPT", "").lower()
    if JSON not in accept:
        return False
    # A program's "application/json, */*" names JSON, and a page only as whatever there is.
    if HTML not in accept:
        return bool(request.accept.acceptable_offers([JSON]))
    offers = request.accept.acceptable_offers([HTML, JSON])
    return bool(offers) and offers[0][0] == JSON


def page(request: IRequest, template: str, status: int = 200, **context: Any) -> Response:
    """Renders `authapp/templates/<template>.jinja2`, which knows the `status` as well."""
    context["status"] = status
    response = render_to_response(f"authapp:templates/{template}.jinja2", context, request)
    response.status_int = status
    return response


def json(body: Any, status: int = 200) -> Response:
    if status == 204:
        return Response(status=204)
    return Response(json_body=body, status=status, content_type=JSON)


def json_error(
    status: int, code: str, message: str, fields: Mapping[str, Sequence[str]] | None = None
) -> Response:
    error = {"code": code, "message": message, "fields": fields or {}}
    return json({"error": error}, status)


def done(request: IRequest, *, location: str, body: Any = None, status: int = 200) -> Response:
    """What was asked for is done: the person goes on to `location`, a program gets `body`."""
    if request.wants_json:
        return json(body, status)
    return HTTPSeeOther(location=location)


def refused(
    request: IRequest,
    template: str,
    form: Form,
    problems: Mapping[str, Sequence[Problem]],
    **context: Any,
) -> Response:
    """The form again, with what was typed and each problem beside its field."""
    errors = messages.describe(problems, request.language)
    if request.wants_json:
        message = request.language.gettext(messages.INVALID_INPUT)
        return json_error(400, "invalid_input", message, errors)
    return page(request, template, 400, values=form.shown, errors=errors, **context)


def throttled(
    request: IRequest, template: str, form: Form, error: TooManyAttempts, **context: Any
) -> Response:
    """The form again, with what was typed and when there may be another attempt."""
    message = messages.too_many_attempts(error.retry_after, request.language)
    if request.wants_json:
        response = json_error(429, "too_many_attempts", message)
    else:
        context |= {"values": form.shown, "errors": {}, "message": message}
        response = page(request, template, 429, **context)
    return retry_after(response, error)


def retry_after(response: Response, error: TooManyAttempts) -> Response:
    """Adds the header, in whole seconds, after which the limit does let one in."""
    response.retry_after = math.ceil(error.retry_after.total_seconds())
    return response


def user_body(user: User) -> dict[str, dict[str, str]]:
    return {"user": {"id": str(user.id), "name": user.name, "email": user.email, "role": user.role}}
