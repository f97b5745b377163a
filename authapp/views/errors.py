"""The pages for what went wrong. They ask for nothing but the reader's language, and not even for
that where the database may be what went wrong; they never show more of an error than its kind."""

import logging
from collections.abc import Sequence
from urllib.parse import unquote, urlencode, urlsplit

from pyramid.exceptions import BadCSRFToken, PredicateMismatch
from pyramid.httpexceptions import HTTPClientError, HTTPException, HTTPSeeOther, HTTPServerError
from pyramid.interfaces import IRequest, IRoutesMapper
from pyramid.response import Response
from pyramid.view import exception_view_config, forbidden_view_config, notfound_view_config

from authapp.domain.errors import ConfirmationRequired, UserNotFound
from authapp.domain.sessions import SessionEnded
from authapp.domain.throttle import TooManyAttempts
from authapp.languages import N_
from authapp.security.gate import SAFE_METHODS
from authapp.security.redirects import local_path, path_below
from authapp.settings import Settings
from authapp.views import messages
from authapp.views.responses import json_error, page, retry_after

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5

TITLES = {
    400: N_("That request could not be understood"),
    401: N_("Please sign in"),
    403: N_("You may not see this"),
    404: N_("There is nothing here"),
    405: N_("That cannot be done at this address"),
    413: N_("That is too much"),
    429: N_("Too many attempts"),
    500: N_("Something went wrong here"),
    503: N_("We will be back in a moment"),
}
MESSAGES = {
    403: N_("Your account does not have the permission that this page needs."),
    404: N_("The address may be misspelt, or the page may have moved."),
    405: N_("There is something here, but not for such a request. Go back and try another way."),
    500: N_("It is not your fault, and it has been noted. Please try again in a moment."),
    # After a connection that broke during COMMIT nobody knows whether it took place.
    503: N_(
        "The service is busy or being restarted. Please try again shortly. If you were changing "
        "something, look first whether it has been done."
    ),
}
# The headers that speak of a body, or of keeping it, and so of none once the page replaces it.
BODY_HEADERS = frozenset(
    {
        "accept-ranges",
        "age",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "etag",
        "expires",
        "last-modified",
        "pragma",
        "transfer-encoding",
    }
)

Action = tuple[str, str]


@notfound_view_config()
def not_found(error: HTTPException, request: IRequest) -> Response:
    allowed = allowed_methods(request) if isinstance(error, PredicateMismatch) else set()
    if allowed and request.method not in allowed:
        response = error_response(request, 405, "method_not_allowed")
        response.allow = sorted(allowed)
        return response
    return keep_headers(error, error_response(request, 404, "not_found"))


@forbidden_view_config()
def forbidden(error: HTTPException, request: IRequest) -> Response:
    if not request.is_authenticated:
        return sign_in_first(request)
    if request.services.second_factors.policy.is_missing(request.identity):
        return keep_headers(error, second_factor_first(request))
    return keep_headers(error, error_response(request, 403, "forbidden"))


def second_factor_first(request: IRequest) -> Response:
    """For administrators of whom the operator demands a second factor, while they have none."""
    _ = request.language.gettext
    return error_response(
        request,
        403,
        "second_factor_missing",
        _(
            "Administrators need two-factor authentication here, and your account does not have "
            "it yet."
        ),
        title=_("Turn on two-factor authentication first"),
        actions=[(_("Turn it on"), request.route_path("account_two_factor"))],
    )


@exception_view_config(SessionEnded)
@exception_view_config(UserNotFound)
def sign_in_first(request: IRequest) -> Response:
    """For visitors, and for whoever was deleted or signed out while a request of theirs was under
    way."""
    if request.wants_json:
        return json_error(401, "unauthenticated", request.language.gettext(messages.SIGN_IN_FIRST))
    # Only a page can be gone back to; where a form was sent, its page is not known.
    target = request.path_qs if request.method in SAFE_METHODS else request.route_path("account")
    query = urlencode({"next": target})
    return HTTPSeeOther(location=f"{request.route_path('sign_in')}?{query}")


@exception_view_config(ConfirmationRequired)
def confirm_first(request: IRequest) -> Response:
    confirm = request.route_path("account_confirm")
    if request.wants_json:
        message = request.language.gettext(messages.CONFIRMATION_REQUIRED, address=confirm)
        return json_error(403, "confirmation_required", message)
    target = request.path_qs if request.method in SAFE_METHODS else page_of_form(request)
    return HTTPSeeOther(location=f"{confirm}?{urlencode({'next': target})}")


@exception_view_config(TooManyAttempts)
def too_many_attempts(error: TooManyAttempts, request: IRequest) -> Response:
    """Where the view does not show its form once more."""
    message = messages.too_many_attempts(error.retry_after, request.language)
    actions = [back_to_form(request)]
    response = error_response(request, 429, "too_many_attempts", message, actions=actions)
    return retry_after(response, error)


@exception_view_config(BadCSRFToken)
def bad_csrf_token(error: BadCSRFToken, request: IRequest) -> Response:
    _ = request.language.gettext
    return error_response(
        request,
        400,
        "bad_csrf_token",
        _(
            "It was open for too long, or you have signed in or out in another window since. "
            "Nothing was changed. Go back to the page and send the form again."
        ),
        title=_("This form has expired"),
        actions=[back_to_form(request)],
    )


@exception_view_config(HTTPClientError)
def client_error(error: HTTPClientError, request: IRequest) -> Response:
    code = error.title.lower().replace(" ", "_")
    message = request.language.gettext(error.detail) if error.detail else ""
    response = error_response(request, error.status_int, code, message)
    return keep_headers(error, response)


@exception_view_config(HTTPServerError)
def server_error(error: HTTPServerError, request: IRequest) -> Response:
    response = error_response(request, error.status_int, "server_error")
    return keep_headers(error, response)


# Where a request will be run again, the answer to this attempt would be thrown away; and a page
# would make pyramid_tm believe that the error had been dealt with.
@exception_view_config(Exception, retryable_error=False)
def internal_error(error: Exception, request: IRequest) -> Response:
    log.error("unhandled error", exc_info=error)
    return error_response(request, 500, "internal_error")


def unavailable(error: Exception, request: IRequest) -> Response:
    """The database cannot be reached, or a race was lost more often than is tried again.

    `authapp.wiring.accounts` says for which exceptions.
    """
    log.error("unavailable: %s", error, exc_info=error)
    again = [] if request.method not in SAFE_METHODS else [try_again(request)]
    response = error_response(request, 503, "unavailable", actions=again)
    response.retry_after = RETRY_AFTER_SECONDS
    return response


def error_response(
    request: IRequest,
    status: int,
    code: str,
    message: str | None = None,
    *,
    title: str | None = None,
    actions: Sequence[Action] = (),
) -> Response:
    _ = request.language.gettext
    if message is None:
        message = _(MESSAGES[status])
    if request.wants_json:
        response = json_error(status, code, message)
    else:
        title = title or _(TITLES.get(status, TITLES[400] if status < 500 else TITLES[500]))
        actions = [*actions, (_("To the front page"), request.route_path("home"))]
        response = page(request, "error", status, title=title, message=message, actions=actions)
    response.cache_control = "no-store"
    return response


def try_again(request: IRequest) -> Action:
    address = local_path(request.path_qs, default=request.route_path("home"))
    return request.language.gettext("Try again"), address


def back_to_form(request: IRequest) -> Action:
    return request.language.gettext("Back to the page"), page_of_form(request)


def keep_headers(error: HTTPException, response: Response) -> Response:
    """Adds to the page what the raised error says besides its body, such as `Retry-After`."""
    for name, value in error.headerlist:
        if name.lower() not in BODY_HEADERS:
            response.headers.add(name, value)
    return response


def page_of_form(request: IRequest) -> str:
    """Where the form that was sent can be gone back to, as far as that is known: the page of this
    site from which the browser says that it was sent, or else the one at the form's address."""
    origins = (request.host_url, request.registry[Settings].site.url)
    referrer = path_below(request.referrer or "", origins, default="")
    # A form that was refused may stand at an address to which forms are sent, and nothing else.
    if referrer and has_page(request, referrer):
        return referrer
    if "GET" in allowed_methods(request):
        return request.path  # type: ignore[no-any-return]
    return request.route_path("account")  # type: ignore[no-any-return]


def has_page(request: IRequest, target: str) -> bool:
    """Whether there is something to be looked at under the path `target`."""
    path = unquote(urlsplit(target).path.removeprefix(request.script_name))
    routes = request.registry.getUtility(IRoutesMapper).get_routes()
    found = (route.name for route in routes if route.match(path) is not None)
    return any("GET" in methods_of_route(request, name) for name in found)


def allowed_methods(request: IRequest) -> set[str]:
    """The methods that the views of the matched route answer."""
    route = request.matched_route
    return methods_of_route(request, route.name) if route is not None else set()


def methods_of_route(request: IRequest, name: str) -> set[str]:
    """The methods that the views of a route answer, by the application's registry."""
    allowed: set[str] = set()
    for view in request.registry.introspector.get_category("views", ()):
        introspectable = view["introspectable"]
        if introspectable["route_name"] == name:
            methods = introspectable["request_methods"] or ()
            allowed.update([methods] if isinstance(methods, str) else methods)
    return allowed | {"HEAD"} if "GET" in allowed else allowed
