"""The database's clock."""

from datetime import datetime

from sqlalchemy import func, select

from authapp.repositories.connections import Connections


class SqlClock:
    """Implements `authapp.domain.clock.Clock`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def now(self) -> datetime:
        return self._connections.beside(lambda c: c.execute(select(func.now())).scalar_one())
