"""The database: from its URL to an engine, and to errors that say it cannot be reached."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, exc

from authapp.repositories import embedded
from authapp.settings import DatabaseSettings

# What the server, the network or a full pool says when nothing is wrong with the request.
UNAVAILABLE = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)

# libpq gives up on a server that does not answer, and notices one that has vanished.
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
    url, connect_args = _driver_url(settings.url)
    return create_engine(
        url,
        connect_args=_CONNECT_ARGS | connect_args,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout.total_seconds(),
        pool_recycle=int(settings.pool_recycle.total_seconds()),
        isolation_level=settings.isolation_level,
        echo=settings.echo,
        # Values of parameters would be names, addresses and hashes, in logs and in tracebacks.
        hide_parameters=True,
    )


def _driver_url(url: str) -> tuple[str, dict[str, Any]]:
    if url.startswith("embedded:"):
        return embedded.start(Path(url.removeprefix("embedded:"))), {}
    rest = url.partition("://")[2]
    authority = rest.partition("/")[0].rpartition("@")[2]
    if "," in authority:
        # SQLAlchemy's URLs have one host. libpq reads its own, with several, by itself.
        return "postgresql+psycopg2://", {"dsn": url}
    return f"postgresql+psycopg2://{rest}", {}
