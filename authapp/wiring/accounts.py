"""The accounts: settings, transactions, the owner of the sessions, and the use cases."""

from typing import Any
from urllib.parse import urlsplit

from pyramid.config import Configurator
from pyramid.interfaces import IRequest
from sqlalchemy import Engine
from transaction.interfaces import TransientError

from authapp.domain.health import Readiness
from authapp.domain.passwords import PasswordPolicy
from authapp.repositories import ENGINE
from authapp.repositories.engine import UNAVAILABLE
from authapp.repositories.health import SqlReadiness
from authapp.repositories.schema import UserRow
from authapp.repositories.users import USER_COLUMNS, SqlUserRepository, to_user
from authapp.security.passwords import BcryptHasher
from authapp.services.sessions import OwnSessions
from authapp.services.users import Accounts
from authapp.settings import Settings, expand
from authapp.views import STATIC_PREFIX
from authapp.views.errors import unavailable


def include_settings(config: Configurator) -> None:
    """Reads and checks all settings, kept as `registry[Settings]`."""
    config.add_settings(expand(config.get_settings()))
    config.registry[Settings] = Settings.load(config.get_settings())


def include_transactions(config: Configurator) -> None:
    """One transaction a request, run again where it lost against another."""
    settings = config.get_settings()
    settings.setdefault("tm.manager_hook", "pyramid_tm.explicit_manager")
    # Else pyramid_tm asks for the user of every request, of static files too.
    settings.setdefault("tm.annotate_user", "false")
    settings.setdefault("tm.activate_hook", "authapp.wiring.accounts.needs_transaction")
    config.include("pyramid_tm")
    config.include("pyramid_retry")


def needs_transaction(request: IRequest) -> bool:
    """Static files do not. The path is looked at undecoded: it may be garbled."""
    path: str = request.environ.get("PATH_INFO", "")
    return not path.startswith(f"/{STATIC_PREFIX}/")


def include_accounts(config: Configurator) -> None:
    """The user as the owner of a session, both loaded by the same SELECT; `request.accounts`
    and `request.own_sessions`, the use cases; and `request.readiness`, for the health check."""
    settings: Settings = config.registry[Settings]
    hasher = BcryptHasher(settings.password.bcrypt_rounds, settings.password.pepper)
    host = urlsplit(settings.site.url).hostname or ""
    policy = PasswordPolicy(settings.password.min_length, (settings.site.name, host))
    engine: Engine = config.registry[ENGINE]

    def accounts(request: Any) -> Accounts:
        return Accounts(SqlUserRepository(request.dbsession), request.sessions, hasher, policy)

    def own_sessions(request: Any) -> OwnSessions:
        return OwnSessions(request.sessions)

    def readiness(request: Any) -> Readiness:
        return SqlReadiness(engine)

    config.set_session_owner(
        table=UserRow.__table__, key=UserRow.id, columns=USER_COLUMNS, build=to_user
    )
    config.add_request_method(accounts, reify=True)
    config.add_request_method(own_sessions, reify=True)
    config.add_request_method(readiness, reify=True)


def include_error_views(config: Configurator) -> None:
    """Which errors mean that it may work again in a moment."""
    for error in (*UNAVAILABLE, TransientError):
        config.add_exception_view(unavailable, context=error, retryable_error=False)
