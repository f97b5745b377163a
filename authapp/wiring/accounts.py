"""The accounts: settings, transactions, the owner of the sessions, and what requests offer."""

import re
from functools import partial
from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import IRequest
from sqlalchemy import Engine
from transaction.interfaces import TransientError

from authapp.domain.health import Readiness
from authapp.repositories import ENGINE
from authapp.repositories.engine import UNAVAILABLE
from authapp.repositories.health import SqlReadiness
from authapp.repositories.schema import UserRow
from authapp.repositories.users import USER_COLUMNS, to_user
from authapp.settings import Settings, expand
from authapp.views.brand import PATH as BRAND_PATH
from authapp.views.errors import unavailable
from authapp.views.static_files import STATIC_PREFIX
from authapp.wiring.purging import account_purges
from authapp.wiring.services import Shared, request_services
from authapp.wiring.sessions import PURGES


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
    return not path.startswith(f"/{STATIC_PREFIX}/") and not re.fullmatch(BRAND_PATH, path)


def include_accounts(config: Configurator) -> None:
    """The user as the owner of a session, both loaded by the same SELECT; `request.services`,
    the use cases that the pages call; `request.readiness`, for the health check; and what
    the purge clears away besides sessions."""
    config.set_session_owner(
        table=UserRow.__table__, key=UserRow.id, columns=USER_COLUMNS, build=to_user
    )
    settings: Settings = config.registry[Settings]
    shared = Shared.of(settings)
    engine: Engine = config.registry[ENGINE]
    config.registry[PURGES] = account_purges(engine, settings.events)

    def readiness(request: Any) -> Readiness:
        return SqlReadiness(engine)

    config.add_request_method(partial(request_services, shared), "services", reify=True)
    config.add_request_method(readiness, reify=True)


def include_error_views(config: Configurator) -> None:
    """Which errors mean that it may work again in a moment."""
    for error in (*UNAVAILABLE, TransientError):
        config.add_exception_view(unavailable, context=error, retryable_error=False)
