"""What all commands share: the settings, the database, and how to answer."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, NoReturn, TypeVar

import click
import plaster
from psycopg2.errors import UndefinedColumn, UndefinedTable
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from authapp.domain.purging import Purges
from authapp.domain.sessions import purge
from authapp.repositories.connections import OwnConnections
from authapp.repositories.embedded import EmbeddedError
from authapp.repositories.engine import UNAVAILABLE, Retryable, make_engine
from authapp.repositories.health import has_accounts
from authapp.repositories.outbox import SqlOutbox
from authapp.repositories.sessions import SqlSessionDirectory
from authapp.repositories.users import SqlUserRepository
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

# As many as pyramid_retry gives a request.
ATTEMPTS = 3


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

    def run(self, work: Callable[[CommandServices], T]) -> T:
        """Does the work with the use cases, over one transaction, which commits at the end or
        leaves nothing. Where it lost against another, it is done again, as a request is."""
        shared = Shared.of(self._load(Settings.load))
        for _ in range(ATTEMPTS - 1):
            with suppress(Retryable):
                return self._run_once(shared, work)
        return self._run_once(shared, work)

    def _run_once(self, shared: Shared, work: Callable[[CommandServices], T]) -> T:
        with self.engine.begin() as connection:
            services = CommandServices(shared, connection)
            result = work(services)
        services.committed()
        return result

    @cached_property
    def users(self) -> SqlUserRepository | None:
        """Each of its calls commits by itself; None where there are no accounts."""
        if not has_accounts(self.engine):
            return None
        return SqlUserRepository(OwnConnections(self.engine))

    def purges(self, batch_size: int) -> Purges:
        """What is to be cleared away; of accounts only where there are any."""
        purges: Purges = {"sessions": partial(purge, self.sessions, batch_size=batch_size)}
        if self.users is None:
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
            raise Refused("bad_settings", str(error)) from None

    def answer(self, result: Mapping[str, Any], text: str) -> None:
        """Prints `result` as JSON where that was asked for, else `text`."""
        click.echo(_dumped(result) if self._as_json else text)

    def refuse(self, refusal: click.ClickException) -> NoReturn:
        """Ends the command: with an answer where JSON was asked for, else with a message on
        standard error."""
        if not self._as_json:
            raise refusal
        code = getattr(refusal, "code", "failed")
        fields = getattr(refusal, "fields", {})
        error = {"code": code, "message": refusal.format_message(), "fields": fields}
        click.echo(_dumped({"error": error}))
        raise click.exceptions.Exit(refusal.exit_code)


class Refused(click.ClickException):
    """What the command was asked for is not done. `code` and `fields` are as over HTTP."""

    def __init__(
        self, code: str, message: str, fields: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.fields = fields or {}


class Command(click.Command):
    """A command that says in a message what is wrong with the database, with no traceback."""

    def invoke(self, click_context: click.Context) -> Any:
        try:
            return self._invoke(click_context)
        except click.UsageError:
            raise
        except click.ClickException as refusal:
            context: Context = click_context.obj
            context.refuse(refusal)

    def _invoke(self, click_context: click.Context) -> Any:
        try:
            return super().invoke(click_context)
        except UNAVAILABLE as error:
            if isinstance(error, Retryable) and not error.connection_invalidated:
                message = f"lost against another transaction; try again: {_reason(error)}"
            else:
                message = f"the database cannot be reached: {_reason(error)}"
            raise Refused("unavailable", message) from None
        except EmbeddedError as error:
            raise Refused("unavailable", str(error)) from None
        except ProgrammingError as error:
            if not isinstance(error.orig, (UndefinedTable, UndefinedColumn)):
                raise
            raise Refused(
                "not_migrated",
                f"the database is not migrated: {_reason(error)}. Migrate it first, for example "
                "with `alembic -c INI upgrade head`.",
            ) from None


def _dumped(result: Mapping[str, Any]) -> str:
    """As JSON, with times as over HTTP."""
    return json.dumps(result, default=_plain)


def _plain(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _reason(error: Exception) -> str:
    """What the driver says, without the statement and SQLAlchemy's address for further reading."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if isinstance(error, ProgrammingError) else "\n".join(lines)


class Group(click.Group):
    command_class = Command


pass_context = click.make_pass_decorator(Context)
