"""The database: from its URL to an engine, and to errors that say it cannot be reached."""

from collections.abc import Container
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

import psycopg2
from psycopg2.extensions import TransactionRollbackError, parse_dsn
from sqlalchemy import Engine, create_engine, event, exc, make_url
from sqlalchemy.engine import ExceptionContext
from transaction.interfaces import TransientError

from authapp.repositories import embedded
from authapp.settings import DatabaseSettings

# What the server, the network or a full pool says when nothing is wrong with the request.
UNAVAILABLE = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)

# libpq gives up on a server that does not answer, and notices one that has vanished. What the URL
# itself says comes first.
_CONNECT_ARGS = {
    "application_name": "authapp",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def make_engine(settings: DatabaseSettings) -> Engine:
    """The engine for the URL that was set; starts the embedded server where that is meant.

    It connects when it is first used: an application can start before its database.
    """
    url, connecting = _driver_url(settings.url)
    engine = create_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout.total_seconds(),
        pool_recycle=int(settings.pool_recycle.total_seconds()),
        echo=settings.echo,
        # Values of parameters would be names, addresses and hashes, in logs and in tracebacks.
        hide_parameters=True,
        **connecting,
        **({"isolation_level": settings.isolation_level} if settings.isolation_level else {}),
    )
    tell_retryable_errors(engine)
    return engine


def _driver_url(url: str) -> tuple[str, dict[str, Any]]:
    """The URL as SQLAlchemy wants it, and how to connect, which it cannot say all by itself."""
    if url.startswith("embedded:"):
        url = embedded.start(Path(url.removeprefix("embedded:")))
    rest = url.partition("://")[2]
    authority = rest.partition("/")[0].rpartition("@")[2]
    if "," in authority:
        # SQLAlchemy's URLs have one host. libpq reads its own, with several, by itself.
        connect = partial(psycopg2.connect, url, **_connect_args(parse_dsn(url)))
        return "postgresql+psycopg2://", {"creator": connect}
    url = f"postgresql+psycopg2://{rest}"
    return url, {"connect_args": _connect_args(make_url(url).query)}


def _connect_args(said: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in _CONNECT_ARGS.items() if name not in said}


class Retryable(exc.OperationalError, TransientError):  # type: ignore[misc]  # It has no types.
    """The transaction is rolled back, through no fault of its own: run again, it may succeed.

    Either it lost against another one (SQLSTATE class 40), or its connection broke under one of
    its statements. As a `TransientError` it makes pyramid_retry run the request again; by itself,
    zope.sqlalchemy would not say so of what COMMIT raises. A connection that breaks under the
    COMMIT is another matter: nobody knows whether it took place.
    """


# SQLAlchemy's own `event.contains` goes by an engine's `id`, which another one may have had before.
_telling: WeakSet[Engine] = WeakSet()


def tell_retryable_errors(engine: Engine) -> None:
    """Makes the engine raise `Retryable` where it applies; may be called more than once."""
    if engine not in _telling:
        event.listen(engine, "handle_error", _raise_retryable)
        _telling.add(engine)


def _raise_retryable(context: ExceptionContext) -> None:
    cause, error = context.original_exception, context.sqlalchemy_exception
    if not isinstance(error, exc.DBAPIError):
        return
    is_cut_off = context.is_disconnect and context.statement is not None
    if is_cut_off or isinstance(cause, TransactionRollbackError):
        raise Retryable(
            error.statement,
            error.params,
            cause,
            hide_parameters=True,
            connection_invalidated=context.is_disconnect,
        ) from cause
