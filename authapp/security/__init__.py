"""Who may do what, and what never gets as far as a view."""

from pyramid.config import Configurator
from pyramid.tweens import EXCVIEW

from authapp.domain.second_factor import SecondFactorPolicy
from authapp.security.farewell import Farewell
from authapp.security.gate import needs_csrf_token
from authapp.security.known_browsers import KnownBrowsers
from authapp.security.policy import SessionSecurityPolicy
from authapp.security.recent import recent_view
from authapp.settings import Settings


def includeme(config: Configurator) -> None:
    required = config.registry[Settings].second_factor.required_for_admins
    config.set_security_policy(SessionSecurityPolicy(SecondFactorPolicy(required)))
    session = config.registry[Settings].session
    config.registry[KnownBrowsers] = KnownBrowsers(session)
    config.registry[Farewell] = Farewell(session)
    # Where Pyramid puts it unless told otherwise: under the checks of the permission and the token.
    config.add_view_deriver(recent_view, "recent")
    # The gate checks where a request comes from, over http as well as https, so Pyramid's own
    # check, which looks at https alone, is not needed.
    config.set_default_csrf_options(
        require_csrf=True, callback=needs_csrf_token, check_origin=False
    )
    config.add_tween("authapp.security.gate.gate_tween_factory", under=EXCVIEW)
    # Over the transaction, so that a page about a commit that failed has the headers too.
    config.add_tween(
        "authapp.security.headers.headers_tween_factory", over="pyramid_tm.tm_tween_factory"
    )
