"""For load balancers and supervisors: is the process alive, can it do its work?"""

from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import view_config

from authapp.views.responses import json, json_error


@view_config(route_name="healthz", request_method="GET")
def healthz(request: IRequest) -> Response:
    return _answer(request, 200, "ok")


@view_config(route_name="readyz", request_method="GET")
def readyz(request: IRequest) -> Response:
    """A database that cannot be reached is answered by the exception view, with 503 as well."""
    if request.readiness.is_migrated():
        return _answer(request, 200, "ok")
    return _answer(request, 503, "not migrated")


def _answer(request: IRequest, status: int, text: str) -> Response:
    if not request.wants_json:
        response = Response(text + "\n", status=status, content_type="text/plain", charset="UTF-8")
    elif status == 200:
        response = json({"status": text})
    else:
        response = json_error(status, text.replace(" ", "_"), text)
    response.cache_control = "no-store"
    return response
