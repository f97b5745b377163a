"""Signing in and out."""

from pyramid.csrf import check_csrf_token, get_csrf_token
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.security import forget
from pyramid.view import view_config

from authapp.domain.errors import InvalidCredentials, InvalidInput
from authapp.domain.throttle import TooManyAttempts
from authapp.security.gate import is_json
from authapp.security.redirects import local_path
from authapp.views import messages
from authapp.views.forms import Form
from authapp.views.responses import (
    done,
    json,
    json_error,
    page,
    refused,
    throttled,
    user_body,
)
from authapp.views.sign_in_second_factor import ask_for_second_factor
from authapp.views.signing_in import signed_in, visitor_of


@view_config(route_name="sign_in", request_method="GET")
def show_sign_in(request: IRequest) -> Response:
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    target = _next(request, request.GET.get("next", ""))
    if request.is_authenticated:
        return HTTPSeeOther(location=target)
    # People expect to stay signed in, so the box is ticked until they say otherwise.
    return page(request, "sign_in", values={"next": target, "remember": "1"}, errors={})


@view_config(route_name="sign_in", request_method="POST")
def sign_in(request: IRequest) -> Response:
    form = Form(request, "email", "password", "remember", "next")
    try:
        form.check()
        visitor = visitor_of(request)
        found = request.services.passwords.authenticate(form["email"], form["password"], visitor)
    except InvalidInput as error:
        return refused(request, "sign_in", form, error.problems)
    except InvalidCredentials:
        return _not_recognised(request, form)
    except TooManyAttempts as error:
        return throttled(request, "sign_in", form, error)
    persistent, target = form.ticked("remember"), _next(request, form["next"])
    if found.user.has_second_factor:
        return ask_for_second_factor(request, found, persistent=persistent, target=target)
    signed_in(request, found.user, persistent=persistent)
    return done(request, location=target, body=user_body(found.user))


# There is nothing to protect where nobody is signed in, so the token is asked for only when
# somebody is: signing out once more, from a page that was left open, is no error.
@view_config(route_name="sign_out", request_method="POST", require_csrf=False)
def sign_out(request: IRequest) -> Response:
    if request.session.user_id is not None and not is_json(request):
        check_csrf_token(request)
    if request.identity is not None:
        request.services.sign_ins.ended(request.identity)
    forget(request)
    return done(request, location=request.route_path("home"), status=204)


def _not_recognised(request: IRequest, form: Form) -> Response:
    message = request.language.gettext(messages.INVALID_CREDENTIALS)
    if request.wants_json:
        return json_error(401, "invalid_credentials", message)
    return page(request, "sign_in", 401, values=form.shown, errors={}, message=message)


def _next(request: IRequest, target: str) -> str:
    return local_path(target, default=request.route_path("account"))
