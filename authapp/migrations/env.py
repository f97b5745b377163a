"""Alembic's environment: the database is the one that the application's own ini file names."""

from typing import Any

from alembic import context
from plaster import get_settings, setup_logging

from authapp.repositories.engine import make_engine
from authapp.repositories.schema import Base
from authapp.settings import expand, load_database_settings

# Each step is a transaction of its own: what one has locked is free before the next, and an index
# can be made without keeping everybody out of its table.
OPTIONS: dict[str, Any] = {"target_metadata": Base.metadata, "transaction_per_migration": True}


def migrate() -> None:
    raw = get_settings(context.config.config_file_name, "app:main")
    engine = make_engine(load_database_settings(expand(raw)))
    with engine.connect() as connection:
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
else:
    # So that whoever migrates sees what was done.
    setup_logging(context.config.config_file_name)
    migrate()
