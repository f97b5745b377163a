from typing import Any

from pyramid.config import Configurator
from pyramid.router import Router


def main(global_config: dict[str, str], **settings: Any) -> Router:
    """The WSGI application, from the `[app:main]` section of an ini file."""
    with Configurator(settings=settings) as config:
        config.include("pyramid_jinja2")
        config.include("shop.routes")
        config.include("shop.models")
        config.include("authapp.sessions")
        config.include("shop.security")
        config.scan("shop.views")
    app: Router = config.make_wsgi_app()
    return app
