from alembic import context
from pyramid.paster import get_appsettings, setup_logging
from sqlalchemy import engine_from_config

from shop import models  # noqa: F401  # Fills the metadata.
from shop.models.meta import Base

setup_logging(context.config.config_file_name)
settings = get_appsettings(context.config.config_file_name)


def migrate_offline() -> None:
    context.configure(
        url=settings["sqlalchemy.url"], target_metadata=Base.metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate_online() -> None:
    engine = engine_from_config(settings, prefix="sqlalchemy.")
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    migrate_offline()
else:
    migrate_online()
