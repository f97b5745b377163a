"""The models, and `request.dbsession`."""

from collections.abc import Mapping
from typing import Any

import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy import Engine, engine_from_config
from sqlalchemy.orm import Session, configure_mappers, sessionmaker

# All of them, so that Base.metadata has every table.
from shop.models.cart import CartItem
from shop.models.session import SESSIONS
from shop.models.user import User

__all__ = ["SESSIONS", "CartItem", "User"]

configure_mappers()


def get_engine(settings: Mapping[str, Any], prefix: str = "sqlalchemy.") -> Engine:
    return engine_from_config(dict(settings), prefix)


def get_session_factory(engine: Engine) -> sessionmaker[Session]:
    factory = sessionmaker()
    factory.configure(bind=engine)
    return factory


def get_tm_session(
    session_factory: sessionmaker[Session], transaction_manager: Any, request: Any = None
) -> Session:
    """A session that is committed or rolled back with the transaction of the manager."""
    dbsession = session_factory(info={"request": request})
    zope.sqlalchemy.register(dbsession, transaction_manager=transaction_manager)
    return dbsession


def includeme(config: Configurator) -> None:
    settings = config.get_settings()
    settings["tm.manager_hook"] = "pyramid_tm.explicit_manager"
    config.include("pyramid_tm")
    config.include("pyramid_retry")

    # The tests bring an engine of their own.
    engine = settings.get("dbengine") or get_engine(settings)
    session_factory = get_session_factory(engine)
    config.registry["dbsession_factory"] = session_factory

    def dbsession(request: Request) -> Session:
        # Tests may bring a session as well.
        given: Session | None = request.environ.get("app.dbsession")
        return given or get_tm_session(session_factory, request.tm, request=request)

    config.add_request_method(dbsession, reify=True)
