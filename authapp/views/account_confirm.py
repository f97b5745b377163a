"""Giving the password once more, before what matters."""

from pyramid.csrf import get_csrf_token
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import view_config

from authapp.domain.errors import InvalidInput
from authapp.domain.throttle import TooManyAttempts
from authapp.security.redirects import local_path
from authapp.views.forms import Form
from authapp.views.responses import done, json, page, refused, throttled
from authapp.views.signing_in import keep_confirmation


@view_config(route_name="account_confirm", request_method="GET", permission="account")
def show_confirm(request: IRequest) -> Response:
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    values = {"next": _next(request, request.GET.get("next", ""))}
    return page(request, "account_confirm", user=request.identity, values=values, errors={})


@view_config(route_name="account_confirm", request_method="POST", permission="account")
def confirm(request: IRequest) -> Response:
    form = Form(request, "current_password", "next")
    user = request.identity
    try:
        form.check()
        confirmed_at = request.services.confirmations.confirm(user.id, form["current_password"])
    except InvalidInput as error:
        return refused(request, "account_confirm", form, error.problems, user=user)
    except TooManyAttempts as error:
        return throttled(request, "account_confirm", form, error, user=user)
    request.session.rotate()
    keep_confirmation(request, confirmed_at)
    return done(request, location=_next(request, form["next"]), status=204)


def _next(request: IRequest, target: str) -> str:
    return local_path(target, default=request.route_path("account"))
