from typing import Any

from pyramid.request import Request
from pyramid.view import notfound_view_config


@notfound_view_config(renderer="shop:templates/404.jinja2")
def not_found(request: Request) -> dict[str, Any]:
    request.response.status_int = 404
    return {}
