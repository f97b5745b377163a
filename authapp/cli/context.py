"""What all commands share: the settings, the database, and how to answer."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, TypeVar

import click
import plaster
from psycopg2.errors import UndefinedColumn, UndefinedTable
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from authapp.domain.purging import Purges
from authapp.domain.sessions import purge
from authapp.repositories.connections import OwnConnections
from authapp.repositories.embedded import EmbeddedError
from authapp.repositories.engine import UNAVAILABLE, make_engine
from authapp.repositories.health import has_accounts
from authapp.repositories.outbox import SqlOutbox
from authapp.repositories.sessions import SqlSessionDirectory
from authapp.services.delivery import Delivery
from authapp.settings import (
    EventsSettings,
    Settings,
    SettingsError,
    expand,
    load_database_settings,
    load_mail_settings,
    load_section,
    load_session_settings,
)
from authapp.wiring.mail import delivery_over
from authapp.wiring.purging import account_purges
from authapp.wiring.services import CommandServices, Shared
from authapp.wiring.sessions import session_directory

T = TypeVar("T")


class Context:
    """Handed to every command by click; connects only when a command needs it to."""

    def __init__(self, ini: str, as_json: bool) -> None:
        self._ini = ini
        self._as_json = as_json

    @cached_property
    def engine(self) -> Engine:
        return make_engine(self._load(load_database_settings))

    @cached_property
    def sessions(self) -> SqlSessionDirectory:
        """Each of its calls commits by itself."""
        return session_directory(self.engine, self._load(load_session_settings))

    @contextmanager
    def services(self) -> Iterator[CommandServices]:
        """The use cases, over one transaction, which commits at the end or leaves nothing."""
        shared = Shared.of(self._load(Settings.load))
        with self.engine.begin() as connection:
            services = CommandServices(shared, connection)
            yield services
        services.committed()

    def purges(self, batch_size: int) -> Purges:
        """What is to be cleared away; of accounts only where there are any."""
        purges: Purges = {"sessions": partial(purge, self.sessions, batch_size=batch_size)}
        if not has_accounts(self.engine):
            return purges
        events: EventsSettings = self._load(partial(load_section, EventsSettings, "events"))
        return {**purges, **account_purges(self.engine, events, batch_size=batch_size)}

    @cached_property
    def outbox(self) -> SqlOutbox:
        return SqlOutbox(OwnConnections(self.engine))

    @cached_property
    def delivery(self) -> Delivery:
        return delivery_over(self.engine, *self._load(load_mail_settings))

    def _load(self, load: Callable[[Mapping[str, Any]], T]) -> T:
        """Only what a command needs, so that those for the sessions serve an application as well
        that has included nothing else."""
        try:
            return load(expand(plaster.get_settings(self._ini, "app:main")))
        except SettingsError as error:
            raise click.ClickException(str(error)) from None

    def answer(self, result: Mapping[str, Any], text: str) -> None:
        """Prints `result` as JSON where that was asked for, else `text`."""
        click.echo(json.dumps(result, default=str) if self._as_json else text)


class Command(click.Command):
    """A command that says in a message what is wrong with the database, with no traceback."""

    def invoke(self, click_context: click.Context) -> Any:
        try:
            return super().invoke(click_context)
        except UNAVAILABLE as error:
            raise click.ClickException(
                f"the database cannot be reached: {_reason(error)}"
            ) from None
        except EmbeddedError as error:
            raise click.ClickException(str(error)) from None
        except ProgrammingError as error:
            if not isinstance(error.orig, (UndefinedTable, UndefinedColumn)):
                raise
            raise click.ClickException(
                f"the database is not migrated: {_reason(error)}. Migrate it first, for example "
                "with `alembic -c INI upgrade head`."
            ) from None


def _reason(error: Exception) -> str:
    """What the driver says, without the statement and SQLAlchemy's address for further reading."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if isinstance(error, ProgrammingError) else "\n".join(lines)


class Group(click.Group):
    command_class = Command


pass_context = click.make_pass_decorator(Context)
