"""The composition root: the one place where ports meet their implementations."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated
from pyramid.interfaces import IRequest
from pyramid.scripting import prepare
from sqlalchemy import Engine, MetaData
from transaction.interfaces import TransientError

from authapp.domain.health import Readiness as ReadinessPort
from authapp.domain.passwords import PasswordPolicy
from authapp.repositories import ENGINE
from authapp.repositories.engine import UNAVAILABLE, tell_retryable_errors
from authapp.repositories.health import Readiness
from authapp.repositories.schema import SessionRow, UserRow
from authapp.repositories.sessions import (
    Owner,
    Runner,
    SessionQueries,
    SqlSessionDirectory,
    SqlSessionStore,
    beside_transaction_of,
    inside_transaction_of,
    outside_transaction,
)
from authapp.repositories.sessions_table import sessions_table
from authapp.repositories.users import USER_COLUMNS, SqlUserRepository, to_user
from authapp.security.passwords import BcryptHasher
from authapp.services.users import Accounts
from authapp.sessions.factory import SessionFactory
from authapp.sessions.purger import Purger
from authapp.settings import SessionSettings, Settings, expand, load_session_settings
from authapp.views import STATIC_PREFIX
from authapp.views.errors import unavailable

OWNER = "authapp.session_owner"


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
    settings.setdefault("tm.activate_hook", "authapp.wiring.needs_transaction")
    config.include("pyramid_tm")
    config.include("pyramid_retry")


def needs_transaction(request: IRequest) -> bool:
    """Static files do not. The path is looked at undecoded: it may be garbled."""
    path: str = request.environ.get("PATH_INFO", "")
    return not path.startswith(f"/{STATIC_PREFIX}/")


def include_sessions(config: Configurator) -> None:
    """The session factory, over the sessions table of this application or of another."""
    if Settings in config.registry:
        include_own_sessions(config)
    else:
        include_sessions_alone(config)


def include_own_sessions(config: Configurator) -> None:
    """With the user as the session's owner, both loaded by the same SELECT."""
    settings: Settings = config.registry[Settings]
    users = Owner(UserRow.__table__, UserRow.id, USER_COLUMNS, to_user)
    queries = SessionQueries(SessionRow.__table__, settings.session, users)
    outside = outside_transaction(config.registry[ENGINE])
    wire_sessions(config, settings.session, lambda: queries, lambda request: outside)


def include_sessions_alone(config: Configurator) -> None:
    """For an application that brings its own `request.dbsession`, users and migrations."""
    all_settings = config.get_settings()
    all_settings.setdefault("tm.annotate_user", "false")
    config.include("pyramid_tm")
    config.include("pyramid_retry")
    settings = load_session_settings(expand(all_settings))
    registry = config.registry

    @cache
    def queries() -> SessionQueries:
        return SessionQueries(sessions_table(MetaData()), settings, registry.get(OWNER))

    def set_session_owner(config: Configurator, **owner: Any) -> None:
        """Has each session loaded together with its user; see `Owner` for the arguments."""
        config.registry[OWNER] = Owner(**owner)

    config.add_directive("set_session_owner", set_session_owner)
    wire_sessions(config, settings, queries, outside_transaction_of)
    config.add_exception_view(
        "authapp.sessions.factory.conflict", context=TransientError, retryable_error=False
    )
    if settings.purge_interval is not None:
        interval = settings.purge_interval
        config.add_subscriber(
            lambda event: purge_alone(event.app.registry, queries(), interval), ApplicationCreated
        )


def purge_alone(registry: Any, queries: SessionQueries, interval: timedelta) -> None:
    """Starts the purge over the engine that requests of this application have."""
    with prepare(registry=registry) as environment:
        dbsession = environment["request"].dbsession
        run = outside_transaction(dbsession.get_bind())
        dbsession.close()
    Purger(SqlSessionDirectory(queries, run, run), interval).start()


def outside_transaction_of(request: Any) -> Runner:
    """Over the engine of the request's `dbsession`, which is asked for when it is first needed."""

    def run(work: Any) -> Any:
        bind = request.dbsession.get_bind()
        # Test suites bind a session to one connection, whose transaction they roll back.
        if not isinstance(bind, Engine):
            return inside_transaction_of(request)(work)
        tell_retryable_errors(bind)
        return outside_transaction(bind)(work)

    return run


def wire_sessions(
    config: Configurator,
    settings: SessionSettings,
    queries: Callable[[], SessionQueries],
    outside: Callable[[Any], Runner],
) -> None:
    """`request.session`, and `request.sessions`, the directory of all of them."""

    def store(request: Any) -> SqlSessionStore:
        return SqlSessionStore(
            queries(),
            beside=beside_transaction_of(request, outside(request)),
            inside=inside_transaction_of(request),
            outside=outside(request),
        )

    def sessions(request: Any) -> SqlSessionDirectory:
        return SqlSessionDirectory(queries(), inside_transaction_of(request), outside(request))

    config.set_session_factory(SessionFactory(settings, store))
    config.add_request_method(sessions, reify=True)


def include_purger(config: Configurator) -> None:
    """The background purge, where `session.purge_interval` asks for it."""
    settings: Settings = config.registry[Settings]
    if settings.session.purge_interval is None:
        return
    directory = session_directory(config.registry[ENGINE], settings.session)
    purger = Purger(directory, settings.session.purge_interval)
    config.add_subscriber(lambda event: purger.start(), ApplicationCreated)


def session_directory(engine: Engine, settings: SessionSettings) -> SqlSessionDirectory:
    """The directory outside of any request, each of whose calls commits by itself; whatever the
    type of the users' keys is."""
    run = outside_transaction(engine)
    queries = SessionQueries(sessions_table(MetaData()), settings, owner=None)
    return SqlSessionDirectory(queries, run, run)


def include_accounts(config: Configurator) -> None:
    """`request.accounts`, the use cases, and `request.readiness`, for the health check."""
    settings: Settings = config.registry[Settings]
    hasher = BcryptHasher(settings.password.bcrypt_rounds, settings.password.pepper)
    policy = PasswordPolicy(settings.password.min_length)
    engine: Engine = config.registry[ENGINE]

    def accounts(request: Any) -> Accounts:
        return Accounts(SqlUserRepository(request.dbsession), hasher, policy)

    def readiness(request: Any) -> ReadinessPort:
        return Readiness(engine)

    config.add_request_method(accounts, reify=True)
    config.add_request_method(readiness, reify=True)


def include_error_views(config: Configurator) -> None:
    """Which errors mean that it may work again in a moment."""
    for error in (*UNAVAILABLE, TransientError):
        config.add_exception_view(unavailable, context=error, retryable_error=False)
