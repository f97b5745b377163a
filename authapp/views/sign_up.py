"""Making an account; whoever did is signed in."""

from pyramid.csrf import get_csrf_token
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import view_config

from authapp.domain.errors import InvalidInput
from authapp.domain.throttle import TooManyAttempts
from authapp.settings import Settings
from authapp.views.forms import Form
from authapp.views.responses import done, json, page, refused, throttled, user_body
from authapp.views.signing_in import begin_session, visitor_of


@view_config(route_name="sign_up", request_method="GET")
def show_sign_up(request: IRequest) -> Response:
    _check_enabled(request)
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    if request.is_authenticated:
        return HTTPSeeOther(location=request.route_path("account"))
    return page(request, "sign_up", values={}, errors={})


@view_config(route_name="sign_up", request_method="POST")
def sign_up(request: IRequest) -> Response:
    _check_enabled(request)
    form = Form(request, "name", "email", "password")
    try:
        form.check()
        visitor = visitor_of(request)
        user = request.services.accounts.sign_up(
            form["name"], form["email"], form["password"], visitor, request.language.tag
        )
    except InvalidInput as error:
        return refused(request, "sign_up", form, error.problems)
    except TooManyAttempts as error:
        return throttled(request, "sign_up", form, error)
    begin_session(request, user)
    account = request.route_path("account")
    return done(request, location=account, body=user_body(user), status=201)


def _check_enabled(request: IRequest) -> None:
    settings: Settings = request.registry[Settings]
    if not settings.registration.enabled:
        raise HTTPNotFound
