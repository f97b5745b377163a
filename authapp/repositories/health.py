"""Whether the database answers, and has the tables that this code expects."""

from collections.abc import Set
from functools import cache

from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg2.errors import UndefinedTable
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import ProgrammingError

from authapp.repositories.schema import Base

MIGRATIONS = "authapp:migrations"


def has_accounts(engine: Engine) -> bool:
    """Whether all tables of the accounts are there. Where the sessions are included alone, one
    that is called as one of them is somebody else's."""
    with engine.connect() as connection:
        return set(Base.metadata.tables) <= set(inspect(connection).get_table_names())


class SqlReadiness:
    """Implements `authapp.domain.health.Readiness` by the revisions that Alembic writes down."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def is_migrated(self) -> bool:
        """Raises one of `authapp.repositories.engine.UNAVAILABLE` if the database is not there.

        A revision that this version does not know comes from a newer one. A deployment that
        migrates first must not take the processes out that still run this version.
        """
        found = self._found_revisions()
        return expected_revisions() <= found or not found <= known_revisions()

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
    return frozenset(_scripts().get_heads())


@cache
def known_revisions() -> Set[str]:
    """All of the migrations that came with this version."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    return ScriptDirectory.from_config(config)
