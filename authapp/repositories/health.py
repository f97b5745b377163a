"""Whether the database answers, and has the tables that this code expects."""

from collections.abc import Set
from functools import cache

from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg2.errors import UndefinedTable
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

MIGRATIONS = "authapp:migrations"


class Readiness:
    """Implements the port of the same name in `authapp.domain.health`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def is_migrated(self) -> bool:
        """Raises one of `authapp.repositories.engine.UNAVAILABLE` if the database is not there."""
        return expected_revisions() <= self._found_revisions()

    def _found_revisions(self) -> Set[str]:
        try:
            with self._engine.connect() as connection:
                return frozenset(
                    connection.scalars(text("SELECT version_num FROM alembic_version"))
                )
        except ProgrammingError as error:
            if isinstance(error.orig, UndefinedTable):
                return frozenset()
            raise


@cache
def expected_revisions() -> Set[str]:
    """The newest of the migrations that came with this version."""
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    return frozenset(ScriptDirectory.from_config(config).get_heads())
