"""What all commands share: the settings, the database, and how to answer."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import click
import plaster
from sqlalchemy import Engine

from authapp.repositories.engine import UNAVAILABLE, make_engine
from authapp.repositories.sessions import SqlSessionDirectory
from authapp.settings import Settings, SettingsError, expand
from authapp.wiring import session_directory


class Context:
    """Handed to every command by click; connects only when a command needs it to."""

    def __init__(self, ini: str, as_json: bool) -> None:
        self._ini = ini
        self._as_json = as_json

    @cached_property
    def settings(self) -> Settings:
        try:
            return Settings.load(expand(plaster.get_settings(self._ini, "app:main")))
        except SettingsError as error:
            raise click.ClickException(str(error)) from None

    @cached_property
    def engine(self) -> Engine:
        return make_engine(self.settings.database)

    @cached_property
    def sessions(self) -> SqlSessionDirectory:
        return session_directory(self.engine, self.settings.session)

    def answer(self, result: Mapping[str, Any], text: str) -> None:
        """Prints `result` as JSON where that was asked for, else `text`."""
        click.echo(json.dumps(result, default=str) if self._as_json else text)


class Command(click.Command):
    """A command that says in one line that the database cannot be reached."""

    def invoke(self, click_context: click.Context) -> Any:
        try:
            return super().invoke(click_context)
        except UNAVAILABLE as error:
            raise click.ClickException(f"the database cannot be reached: {error}") from None


class Group(click.Group):
    command_class = Command


pass_context = click.make_pass_decorator(Context)
