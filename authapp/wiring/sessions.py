"""The sessions, over the `request.dbsession` of this application or of any other."""

from datetime import timedelta
from functools import cache, partial
from typing import Any

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated
from pyramid.scripting import prepare
from sqlalchemy import Engine, MetaData
from transaction.interfaces import TransientError

from authapp.domain.sessions import purge
from authapp.repositories.connections import Connections, OwnConnections, RequestConnections
from authapp.repositories.sessions import (
    Owner,
    SessionQueries,
    SqlSessionDirectory,
    SqlSessionStore,
)
from authapp.repositories.sessions_table import sessions_table
from authapp.sessions.factory import SessionFactory
from authapp.sessions.purger import Purger
from authapp.settings import SessionSettings, Settings, expand, load_session_settings

OWNER = "authapp.session_owner"
PURGES = "authapp.purges"


def includeme(config: Configurator) -> None:
    """`request.session`, and `request.sessions`, the directory of all of them."""
    config.get_settings().setdefault("tm.annotate_user", "false")
    config.include("pyramid_tm")
    config.include("pyramid_retry")
    settings = load_session_settings(expand(config.get_settings()))
    registry = config.registry

    @cache  # Made when the first request comes, by when the owner has been set.
    def queries() -> SessionQueries:
        return SessionQueries(sessions_table(MetaData()), settings, registry.get(OWNER))

    def store(request: Any) -> SqlSessionStore:
        return SqlSessionStore(queries(), RequestConnections(request))

    def sessions(request: Any) -> SqlSessionDirectory:
        return SqlSessionDirectory(queries(), RequestConnections(request))

    config.add_directive("set_session_owner", set_session_owner)
    config.set_session_factory(SessionFactory(settings, store))
    config.add_request_method(sessions, reify=True)
    if Settings not in registry:  # Where the accounts are included, they bring their own page.
        config.add_exception_view(
            "authapp.sessions.factory.conflict", context=TransientError, retryable_error=False
        )
    interval = settings.purge_interval
    if interval is not None:
        config.add_subscriber(
            lambda event: start_purger(registry, settings, interval), ApplicationCreated
        )


def set_session_owner(config: Configurator, **owner: Any) -> None:
    """Has each session loaded together with its user; see `Owner` for the arguments."""
    config.registry[OWNER] = Owner(**owner)


def start_purger(registry: Any, settings: SessionSettings, interval: timedelta) -> None:
    """Starts the purge over the engine that requests of this application have, of the sessions and
    of what was added as `registry["authapp.purges"]`."""
    with prepare(registry=registry) as environment:
        dbsession = environment["request"].dbsession
        engine = dbsession.get_bind()
        dbsession.close()
    directory = session_directory(engine, settings)
    purges = {"sessions": partial(purge, directory, exclusive=True), **registry.get(PURGES, {})}
    Purger(purges, interval).start()


def session_directory(engine: Engine, settings: SessionSettings) -> SqlSessionDirectory:
    """The directory outside of any request, each of whose calls commits by itself; whatever the
    type of the users' keys is."""
    return session_directory_over(OwnConnections(engine), settings)


def session_directory_over(
    connections: Connections, settings: SessionSettings
) -> SqlSessionDirectory:
    """The directory outside of any request, within the transaction of `connections`, if any."""
    queries = SessionQueries(sessions_table(MetaData()), settings, owner=None)
    return SqlSessionDirectory(queries, connections)
