"""The database: the only SQL there is, and `request.dbsession`."""

from typing import Any

import zope.sqlalchemy
from pyramid.config import Configurator
from sqlalchemy.orm import Session as DbSession
from sqlalchemy.orm import sessionmaker

from authapp.repositories.engine import make_engine
from authapp.settings import Settings

ENGINE = "authapp.engine"


def includeme(config: Configurator) -> None:
    """Makes the engine, kept as `registry["authapp.engine"]`, and `request.dbsession`."""
    engine = make_engine(config.registry[Settings].database)
    config.registry[ENGINE] = engine
    new_dbsession = sessionmaker(engine, expire_on_commit=False)

    def dbsession(request: Any) -> DbSession:
        """The request's SQLAlchemy session: committed or rolled back with its transaction."""
        session = new_dbsession()
        zope.sqlalchemy.register(session, transaction_manager=request.tm)
        # When a before-commit hook fails, pyramid_tm neither commits nor aborts. Closing gives
        # the connection back whatever has happened, and does nothing where that is done.
        request.add_finished_callback(lambda request: session.close())
        return session

    config.add_request_method(dbsession, reify=True)
