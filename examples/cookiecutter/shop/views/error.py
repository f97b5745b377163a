import logging
from typing import Any

from pyramid.request import Request
from pyramid.view import exception_view_config

log = logging.getLogger(__name__)


# Not before the last attempt: what has lost a race is tried again.
@exception_view_config(Exception, last_retry_attempt=True, renderer="shop:templates/500.jinja2")
def failed(error: Exception, request: Request) -> dict[str, Any]:
    log.error("%s %s", request.method, request.path, exc_info=error)
    request.response.status_int = 500
    return {}
