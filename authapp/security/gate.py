"""What no view should have to deal with: requests for other hosts, from other sites, or garbled.

The gate is the innermost tween, below the exception views, so that what it refuses is answered
with the same pages, or JSON, as everything else.
"""

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from pyramid.exceptions import BadCSRFOrigin
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.interfaces import IRequest
from pyramid.registry import Registry
from pyramid.response import Response

from authapp.languages import N_
from authapp.security.token_pages import is_token_page
from authapp.settings import Settings

Handler = Callable[[IRequest], Response]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data"})
# RFC 9110 section 7.2: a name or an address, and a port; nothing else that a URL may have there.
_HOST = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>\d{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def gate_tween_factory(handler: Handler, registry: Registry) -> Handler:
    settings: Settings = registry[Settings]
    site_url = settings.site.url
    site = urlsplit(site_url)
    site_address = (site.hostname, site.port or _DEFAULT_PORTS[site.scheme])
    # The very text that almost every request has in its Host header.
    usual_host = site.netloc

    def is_own_host(request: IRequest) -> bool:
        if request.host == usual_host:
            return True
        host, port = _host_and_port(request)
        if settings.mode.development and _is_loopback(host):
            return True
        return (host, port) == site_address

    def gate_tween(request: IRequest) -> Response:
        if not is_own_host(request):
            raise HTTPBadRequest(N_("This site does not answer for the host that was asked for."))
        _drop_garbled_cookies(request)
        _check_path(request)
        if request.method not in SAFE_METHODS:
            if is_from_elsewhere(request, site_url):
                raise BadCSRFOrigin(N_("The form was sent from another site."))
            _check_form(request)
        return handler(request)

    return gate_tween


def is_json(request: IRequest) -> bool:
    """Whether the body is JSON, by its Content-Type, parameters aside."""
    return bool(request.content_type.strip().lower() == "application/json")


def needs_csrf_token(request: IRequest) -> bool:
    """A JSON body needs none: no foreign page can send one without asking first (CORS)."""
    return not is_json(request)


def is_from_elsewhere(request: IRequest, site_url: str) -> bool:
    """Whether a browser says that another site made it send this request.

    Either header can say so, Fetch Metadata or Origin (OWASP CSRF Prevention Cheat Sheet).
    Programs send neither; what guards the forms of browsers that do not is the token.
    """
    fetch_site = request.headers.get("Sec-Fetch-Site", "").lower()
    if fetch_site == "cross-site":
        return True
    origin = request.headers.get("Origin")
    # Under the policy no-referrer browsers send `null` with a page's own forms, which names no
    # other site; then only Fetch Metadata can tell. Browsers without it, and those that are on no
    # secure connection, say nothing: whoever knows a page's secret address is none from elsewhere.
    own = {"same-origin", "none", ""} if is_token_page(request) else {"same-origin", "none"}
    if origin is None or (origin == "null" and fetch_site in own):
        return False
    return origin.lower() not in {request.host_url.lower(), site_url}


def _host_and_port(request: IRequest) -> tuple[str, int]:
    match = _HOST.fullmatch(request.host)
    if match is None:
        return "", 0
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS[request.scheme]
    return match["host"].strip("[]").lower(), port


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761 section 6.3.
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _drop_garbled_cookies(request: IRequest) -> None:
    """Cookies that cannot be decoded are dropped alone.

    WebOb raises on reading any cookie when one of them is garbled, and refusing the request
    would lock a person out for a cookie that another site of the domain has set.
    """
    header = request.environ.get("HTTP_COOKIE")
    if header and ("\\" in header or not header.isascii()):
        clean = [pair for pair in header.split(";") if pair.isascii() and "\\" not in pair]
        request.environ["HTTP_COOKIE"] = ";".join(clean)


def _check_path(request: IRequest) -> None:
    try:
        _ = request.path_info
        if request.environ.get("QUERY_STRING"):
            _ = request.GET
    except UnicodeError:
        raise HTTPBadRequest(N_("The address cannot be read: it is not UTF-8.")) from None


def _check_form(request: IRequest) -> None:
    """Reads the form, once for all, so that one that cannot be read is refused here."""
    if request.content_type not in FORM_TYPES:
        return
    try:
        tokens = request.POST.getall("csrf_token")
    except (ValueError, LookupError, DeprecationWarning):
        # A boundary that is missing, or an encoding that is none. WebOb raises the warning, for
        # forms that claim another charset than UTF-8.
        raise HTTPBadRequest(N_("The form cannot be read.")) from None
    if not all(isinstance(token, str) for token in tokens):  # A file, which Pyramid compares.
        raise HTTPBadRequest(N_("The form cannot be read."))
