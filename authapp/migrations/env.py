"""Alembic's environment: the database is the one that the application's own ini file names."""

from alembic import context
from plaster import get_settings

from authapp.repositories.engine import make_engine
from authapp.repositories.schema import Base
from authapp.settings import DatabaseSettings, expand, load_section


def database_settings() -> DatabaseSettings:
    raw = get_settings(context.config.config_file_name, "app:main")
    database = {key: value for key, value in raw.items() if key.startswith("sqlalchemy.")}
    settings: DatabaseSettings = load_section(DatabaseSettings, "database", expand(database))
    return settings


def migrate() -> None:
    engine = make_engine(database_settings())
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    migrate()
