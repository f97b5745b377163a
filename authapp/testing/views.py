"""What the suites add to an application: one page, whose view each test brings along.

The tests run in the application's own process, so a request simply carries its view in the
environ. `config.include("authapp.testing.views")` adds the page, at `PATH`.
"""

from typing import Any

import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.interfaces import IRequest
from pyramid.response import Response
from sqlalchemy import UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

INCLUDE = "authapp.testing.views"
PATH = "/session-suite"
PAIR_PATH = "/session-suite/pair"

VIEW = "authapp.testing.view"
VALUE = "authapp.testing.value"


class Base(DeclarativeBase):
    pass


class Note(Base):
    """A row of the application's own. Two notes of one text fail, but not before the commit."""

    __tablename__ = "session_suite_notes"
    __table_args__ = (UniqueConstraint("text", deferrable=True, initially="DEFERRED"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class Handled(Exception):
    """An error that has an exception view, which answers 200."""


def includeme(config: Configurator) -> None:
    config.add_route("session_suite", PATH)
    config.add_view(run, route_name="session_suite", require_csrf=False)
    config.add_route("session_suite_pair", PAIR_PATH)
    config.add_view(pair, route_name="session_suite_pair", require_csrf=False)
    config.add_view(handle, context=Handled)


def run(request: IRequest) -> Response:
    view = request.environ.get(VIEW)
    if view is None:
        raise HTTPNotFound
    value = view(request)
    if isinstance(value, Response):
        return value
    request.environ[VALUE] = value
    return Response("done")


def pair(request: IRequest) -> Any:
    """Sets two keys to one number; without a number, shows them: for a process of its own."""
    session = request.session
    if "number" in request.GET:
        session["one"] = session["two"] = int(request.GET["number"])
    return Response(json_body=[session.get("one"), session.get("two")])


def handle(error: Exception, request: IRequest) -> Response:
    return Response("handled")


def change_notes_table(request: IRequest, change: str) -> None:
    """`change` is "create" or "drop"; dropping fails while a transaction is open that used it."""
    dbsession = request.dbsession
    dbsession.execute(text("SET LOCAL lock_timeout = '5s'"))
    getattr(Base.metadata, f"{change}_all")(dbsession.connection())
    zope.sqlalchemy.mark_changed(dbsession, request.tm)
