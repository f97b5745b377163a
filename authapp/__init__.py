"""Accounts and sessions for Pyramid, where a session is part of the request's transaction."""

from typing import Any

from pyramid.config import Configurator
from pyramid.router import Router

from authapp.settings import expand


def main(global_config: dict[str, str], **settings: Any) -> Router:
    """The WSGI application, from the `[app:main]` section of an ini file."""
    with Configurator(settings=expand(settings, global_config)) as config:
        config.include("authapp")
    app: Router = config.make_wsgi_app()
    return app


def includeme(config: Configurator) -> None:
    """The accounts, with their pages and sessions, for an application of one's own."""
    # First of all, so that a wrong setting is named before anything is connected or started.
    config.include("authapp.wiring.accounts.include_settings")
    # pyramid_tm and pyramid_retry: a transaction for each request, and another try for losers.
    config.include("authapp.wiring.accounts.include_transactions")
    # The engine and request.dbsession, which take part in that transaction.
    config.include("authapp.repositories")
    # request.session, over request.dbsession, and the purge of those that have expired.
    config.include("authapp.sessions")
    # The security policy, which resolves the user from the session; CSRF, headers, the gate.
    config.include("authapp.security")
    # request.language, which pages and letters are written in.
    config.include("authapp.wiring.languages")
    # The use cases that the pages call.
    config.include("authapp.wiring.accounts.include_accounts")
    # The thread that sends what requests have put into the outbox.
    config.include("authapp.wiring.mail")
    # The templates' renderer, and the pages.
    config.include("pyramid_jinja2")
    config.include("authapp.views")
    config.include("authapp.wiring.accounts.include_error_views")
