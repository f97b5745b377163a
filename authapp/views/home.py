"""The front page."""

from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import view_config

from authapp.security.farewell import Farewell
from authapp.views.responses import json, page, user_body


@view_config(route_name="home", request_method="GET")
def home(request: IRequest) -> Response:
    if request.wants_json:
        user = request.identity
        return json(user_body(user) if user else {"user": None})
    return page(request, "home", is_farewell=request.registry[Farewell].is_due(request))
