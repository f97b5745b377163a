"""Giving the password once more, before what matters."""

from pyramid.csrf import get_csrf_token
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import view_config

from authapp.security.redirects import local_path
from authapp.views.form_views import form_view
from authapp.views.forms import Form
from authapp.views.responses import done, json, page
from authapp.views.signing_in import keep_confirmation


@view_config(route_name="account_confirm", request_method="GET", permission="account")
def show_confirm(request: IRequest) -> Response:
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    values = {"next": _next(request, request.GET.get("next", ""))}
    return page(request, "account_confirm", user=request.identity, values=values, errors={})


@view_config(route_name="account_confirm", request_method="POST", permission="account")
@form_view("account_confirm", "current_password", "next")
def confirm(request: IRequest, form: Form) -> Response:
    user = request.identity
    confirmed_at = request.services.confirmations.confirm(user.id, form["current_password"])
    request.session.rotate()
    keep_confirmation(request, confirmed_at)
    return done(request, location=_next(request, form["next"]), status=204)


def _next(request: IRequest, target: str) -> str:
    return local_path(target, default=request.route_path("account"))
