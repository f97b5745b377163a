from typing import Any

from pyramid.httpexceptions import HTTPForbidden, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import forget, remember
from pyramid.view import forbidden_view_config, view_config
from sqlalchemy import select

from shop.models import User

SIGN_IN = "shop:templates/sign_in.jinja2"


@view_config(route_name="sign_in", request_method="GET", renderer=SIGN_IN)
def sign_in_form(request: Request) -> dict[str, Any]:
    return {"name": "", "error": None}


@view_config(route_name="sign_in", request_method="POST", renderer=SIGN_IN)
def sign_in(request: Request) -> dict[str, Any] | Response:
    name, password = request.POST.get("name", ""), request.POST.get("password", "")
    user = request.dbsession.scalar(select(User).where(User.name == name))
    if user is None or not user.check_password(password):
        request.response.status_int = 401
        return {"name": name, "error": "Wrong name or password"}
    headers = remember(request, user.id)
    request.session.flash(f"Welcome, {user.name}")
    # Returned: pyramid_tm would roll back what a raised response leaves behind.
    return HTTPSeeOther(request.route_url("home"), headers=headers)


@view_config(route_name="sign_out", request_method="POST")
def sign_out(request: Request) -> Response:
    return HTTPSeeOther(request.route_url("home"), headers=forget(request))


@forbidden_view_config()
def forbidden(context: HTTPForbidden, request: Request) -> Response:
    if request.is_authenticated:
        return context
    return HTTPSeeOther(request.route_url("sign_in"))
