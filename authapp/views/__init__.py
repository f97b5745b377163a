"""The pages: parse a form, call one service, pick a response."""

from typing import Any

from pyramid.config import Configurator
from pyramid.events import BeforeRender

from authapp.settings import Settings

STATIC_PREFIX = "static/authapp"


def includeme(config: Configurator) -> None:
    config.add_static_view(STATIC_PREFIX, "authapp:static", cache_max_age=3600)
    config.add_route("home", "/")
    config.add_route("sign_up", "/sign-up")
    config.add_route("sign_in", "/sign-in")
    config.add_route("sign_out", "/sign-out")
    config.add_route("forgot_password", "/forgot-password")
    config.add_route("account", "/account")
    config.add_route("account_profile", "/account/profile")
    config.add_route("account_confirm", "/account/confirm")
    config.add_route("account_activity", "/account/activity")
    config.add_route("account_activity_notify", "/account/activity/notify")
    config.add_route("account_password", "/account/password")
    config.add_route("account_delete", "/account/delete")
    config.add_route("account_sessions", "/account/sessions")
    config.add_route("account_sessions_revoke", "/account/sessions/{id}/revoke")
    config.add_route("account_sessions_revoke_others", "/account/sessions/revoke-others")
    config.add_route("healthz", "/healthz")
    config.add_route("readyz", "/readyz")

    config.add_request_method("authapp.views.responses.wants_json", property=True)
    config.add_subscriber(_add_template_globals, BeforeRender)
    config.scan("authapp.views")


def _add_template_globals(event: Any) -> None:
    request = event.get("request")
    if request is not None:
        settings: Settings = request.registry[Settings]
        event.setdefault("site_name", settings.site.name)
        event.setdefault("password_min_length", settings.password.min_length)
        event.setdefault("registration_enabled", settings.registration.enabled)
