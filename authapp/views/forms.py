"""Reading what was sent: the same fields from a form or from a JSON object."""

import json
from collections.abc import Mapping
from typing import Any

from pyramid.httpexceptions import HTTPBadRequest
from pyramid.interfaces import IRequest

from authapp.domain.errors import InvalidInput, Problem
from authapp.domain.text import is_storable
from authapp.languages import N_
from authapp.security.gate import is_json

# What is never shown again, not even to the person who typed it.
SECRET_FIELDS = frozenset({"password", "current_password", "new_password", "code"})
# What JSON says by true and false.
CHECKBOXES = frozenset({"remember", "confirm", "notify"})


class Form:
    """The named fields of a request's body; a field that is missing is empty."""

    def __init__(self, request: IRequest, *names: str) -> None:
        """Raises HTTPBadRequest for a body that cannot be read at all."""
        sent = _json_object(request) if is_json(request) else None
        self._fields: dict[str, str] = {}
        self._problems: dict[str, list[Problem]] = {}
        for name in names:
            try:
                self._fields[name] = (
                    _form_text(request, name) if sent is None else _json_text(sent, name)
                )
            except ValueError as error:
                self._fields[name] = ""
                self._problems[name] = [Problem(str(error))]

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def ticked(self, name: str) -> bool:
        """Whether a checkbox is: a form sends some value or none, JSON sends true or false."""
        return self._fields[name].lower() not in {"", "0", "false", "no", "off"}

    def check(self) -> None:
        """Raises `InvalidInput` for fields that are not text, or not there exactly once."""
        if self._problems:
            raise InvalidInput(self._problems)

    @property
    def shown(self) -> dict[str, str]:
        """What was typed, to be shown again with the errors."""
        return {
            name: text if is_storable(text) else ""
            for name, text in self._fields.items()
            if name not in SECRET_FIELDS
        }


def _json_object(request: IRequest) -> Mapping[str, Any]:
    if not request.body:
        return {}
    try:
        # UTF-8, whatever the header says: RFC 8259 section 8.1.
        sent = json.loads(request.body, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        raise HTTPBadRequest(N_("The body is not JSON.")) from None
    if not isinstance(sent, dict):
        raise HTTPBadRequest(N_("The body is not a JSON object."))
    return sent


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; ambiguous ones are refused (ASVS 15.3.7), since what checks them on the way here
    might take another of the values than this does."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name stands in an object twice")
    return members


def _json_text(sent: Mapping[str, Any], name: str) -> str:
    value = sent.get(name)
    if value is None:
        return ""
    if name in CHECKBOXES and isinstance(value, bool):
        return "1" if value else ""
    if not isinstance(value, str):
        raise ValueError("not_text")
    return value


def _form_text(request: IRequest, name: str) -> str:
    # Only the body counts: what stands in an address ends up in logs and histories.
    values = request.POST.getall(name)
    if len(values) > 1:
        raise ValueError("repeated")
    text = values[0] if values else ""
    if not isinstance(text, str):
        raise ValueError("not_text")
    if "\ufffd" in text:  # What WebOb makes of bytes that are not UTF-8.
        raise ValueError("bad_characters")
    return text
