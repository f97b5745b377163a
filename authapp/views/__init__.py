"""The pages: parse a form, call one service, pick a response."""

from typing import Any

from pyramid.config import Configurator
from pyramid.events import BeforeRender

from authapp.domain.passwords import PASSWORD_MAX_LENGTH
from authapp.languages import Languages
from authapp.security.token_pages import RESET_PASSWORD, VERIFY_EMAIL
from authapp.settings import Settings
from authapp.views import brand, words
from authapp.views.brand import Brand


def includeme(config: Configurator) -> None:
    config.include("authapp.views.static_files")
    config.include("authapp.views.well_known")
    config.add_route("home", "/")
    config.add_route("sign_up", "/sign-up")
    config.add_route("sign_in", "/sign-in")
    config.add_route("sign_in_second_factor", "/sign-in/second-factor")
    config.add_route("sign_out", "/sign-out")
    config.add_route("forgot_password", "/forgot-password")
    config.add_route("reset_password", f"{RESET_PASSWORD}{{token}}")
    config.add_route("verify_email", f"{VERIFY_EMAIL}{{token}}")
    config.add_route("verify_email_resend", "/verify-email")
    config.add_route("account", "/account")
    config.add_route("account_profile", "/account/profile")
    config.add_route("account_language", "/account/language")
    config.add_route("account_confirm", "/account/confirm")
    config.add_route("account_activity", "/account/activity")
    config.add_route("account_activity_notify", "/account/activity/notify")
    config.add_route("account_password", "/account/password")
    config.add_route("account_email", "/account/email")
    config.add_route("account_delete", "/account/delete")
    config.add_route("account_sessions", "/account/sessions")
    config.add_route("account_sessions_revoke", "/account/sessions/{id}/revoke")
    config.add_route("account_sessions_revoke_others", "/account/sessions/revoke-others")
    config.add_route("admin", "/admin")
    config.add_route("admin_users", "/admin/users")
    config.add_route("admin_users_show", "/admin/users/{id}")
    config.add_route("admin_users_disable", "/admin/users/{id}/disable")
    config.add_route("admin_users_enable", "/admin/users/{id}/enable")
    config.add_route("admin_users_end_sessions", "/admin/users/{id}/end-sessions")
    config.add_route("admin_users_role", "/admin/users/{id}/role")
    config.add_route("admin_users_reset_second_factor", "/admin/users/{id}/reset-second-factor")
    config.add_route("account_two_factor", "/account/two-factor")
    config.add_route("account_two_factor_set_up", "/account/two-factor/set-up")
    config.add_route("account_two_factor_disable", "/account/two-factor/disable")
    config.add_route("account_two_factor_codes", "/account/two-factor/recovery-codes")
    config.add_route(brand.ROUTE, brand.PATTERN)
    config.add_route("healthz", "/healthz")
    config.add_route("readyz", "/readyz")

    config.registry[Brand] = Brand.of(config.registry[Settings].site)
    config.add_request_method("authapp.views.responses.wants_json", property=True)
    config.add_subscriber(_add_template_globals, BeforeRender)
    config.scan("authapp.views")


def _add_template_globals(event: Any) -> None:
    request = event.get("request")
    if request is not None:
        for name, function in words.functions(request).items():
            event.setdefault(name, function)
        settings: Settings = request.registry[Settings]
        files: Brand = request.registry[Brand]
        event.setdefault("site_name", settings.site.name)
        event.setdefault("site_logo", brand.address(request, files.logo))
        event.setdefault("brand_css", brand.address(request, files.stylesheet))
        event.setdefault("support", settings.site.support)
        event.setdefault("languages", request.registry[Languages])
        event.setdefault("password_min_length", settings.password.min_length)
        event.setdefault("password_max_length", PASSWORD_MAX_LENGTH)
        event.setdefault("registration_enabled", settings.registration.enabled)
