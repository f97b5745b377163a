"""An operator's own views, included by `pyramid.includes`; each test brings the body of its own."""

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.interfaces import IRequest
from pyramid.response import Response
from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

View = Callable[[IRequest], Any]

INCLUDE = "tests.functional.lab"
VIEWS: dict[str, View] = {}


class Base(DeclarativeBase):
    pass


class Note(Base):
    """A row of the application's own. Two notes of one text fail, but not before the commit."""

    __tablename__ = "lab_notes"
    __table_args__ = (UniqueConstraint("text", deferrable=True, initially="DEFERRED"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class LabError(Exception):
    """An error that the lab has an exception view for."""


def includeme(config: Configurator) -> None:
    config.add_route("lab", "/lab/{name}")
    config.add_view(run, route_name="lab", require_csrf=False)
    config.add_route("lab_guarded", "/lab-guarded/{name}")
    config.add_view(run, route_name="lab_guarded")
    config.add_route("lab_admin", "/lab-admin")
    config.add_view(admin, route_name="lab_admin", permission="admin")
    config.add_view(caught, context=LabError)


def run(request: IRequest) -> Response:
    if request.matchdict["name"] not in VIEWS:
        raise HTTPNotFound
    result = VIEWS[request.matchdict["name"]](request)
    return result if isinstance(result, Response) else Response(json_body=result)


def admin(request: IRequest) -> Response:
    return Response("for administrators")


def caught(error: Exception, request: IRequest) -> Response:
    handle = VIEWS.get("caught")
    result = handle(request) if handle is not None else None
    return result if isinstance(result, Response) else Response("caught")
