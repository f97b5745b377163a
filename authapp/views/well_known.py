"""What browsers and password managers look for at addresses that no page links to."""

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound, HTTPSeeOther
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import view_config

from authapp.views import brand
from authapp.views.brand import Brand
from authapp.views.static_files import FOLDER, FOR_AN_HOUR


def includeme(config: Configurator) -> None:
    """They are looked for at the root of a site, wherever the pages are."""
    prefix, config.route_prefix = config.route_prefix, None
    config.add_route("change_password", "/.well-known/change-password")
    # Below a prefix the site is somebody else's, and so is its icon.
    if prefix is None:
        config.add_route("favicon", "/favicon.ico")
        config.add_view(favicon, route_name="favicon", request_method="GET")
    config.route_prefix = prefix


@view_config(route_name="change_password", request_method="GET")
def change_password(request: IRequest) -> Response:
    """A Well-Known URL for Changing Passwords, https://w3c.github.io/webappsec-change-password-url"""
    return HTTPSeeOther(location=request.route_path("account_password"))


def favicon(request: IRequest) -> Response:
    """For whoever does not read the pages' heads, as browsers do not for a page in JSON."""
    logo = brand.address(request, request.registry[Brand].logo)
    response = HTTPFound(location=logo or request.static_path(f"{FOLDER}favicon.svg"))
    response.headers["Cache-Control"] = FOR_AN_HOUR
    return response
