"""Transactions as requests have them."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import zope.sqlalchemy
from sqlalchemy import Engine
from sqlalchemy.orm import Session as DbSession
from transaction import TransactionManager

from authapp.repositories.connections import RequestConnections


@contextmanager
def transaction(engine: Engine, *, commit: bool = True) -> Iterator[RequestConnections]:
    """The connections of a request, whose transaction ends with the block: it is rolled back by
    an error, and where nothing is to be committed."""
    tm = TransactionManager(explicit=True)
    tm.begin()
    with DbSession(engine, expire_on_commit=False) as dbsession:
        zope.sqlalchemy.register(dbsession, transaction_manager=tm)
        try:
            yield RequestConnections(SimpleNamespace(dbsession=dbsession, tm=tm))
        except BaseException:
            tm.abort()
            raise
        if commit:
            tm.commit()
        else:
            tm.abort()
