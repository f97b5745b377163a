import alembic.command
import alembic.config


def test_migrations_match_the_models(dbengine, ini_file):
    # Raises for any difference, that of the sessions table included.
    alembic.command.check(alembic.config.Config(ini_file))
