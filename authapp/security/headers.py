"""Headers that every response carries: pages, errors, redirects and static files."""

from collections.abc import Callable

from pyramid.interfaces import IRequest
from pyramid.registry import Registry
from pyramid.response import Response

from authapp.security.token_pages import is_token_page

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        # Our script asks for nothing. Tools that look at a page from within it do.
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer, under which browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What a page could be abused for, of the features that Chromium knows.
    "Permissions-Policy": ", ".join(
        f"{feature}=()"
        for feature in (
            "camera",
            "display-capture",
            "geolocation",
            "hid",
            "microphone",
            "midi",
            "payment",
            "serial",
            "usb",
        )
    ),
}
HTTPS_HEADERS = HEADERS | {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
}

Handler = Callable[[IRequest], Response]


def security_headers(*, is_https: bool) -> dict[str, str]:
    """By their names. Over http a promise to use https alone would count for nothing."""
    return HTTPS_HEADERS if is_https else HEADERS


def headers_tween_factory(handler: Handler, registry: Registry) -> Handler:
    def headers_tween(request: IRequest) -> Response:
        response = handler(request)
        if is_token_page(request):
            response.headers["Referrer-Policy"] = "no-referrer"
            response.cache_control = "no-store"
        # A view may have set a stricter or a looser one of its own.
        for name, value in security_headers(is_https=request.scheme == "https").items():
            response.headers.setdefault(name, value)
        return response

    return headers_tween
