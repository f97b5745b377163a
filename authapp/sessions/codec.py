"""A session's values as JSON texts and back.

What JSON cannot carry by itself travels as an object with one key, the tag: `{"$date": "…"}`.
An object of the application's own that looks like that is wrapped in `{"$dict": …}`, so that no
value can be mistaken for another. Tuples become lists, as with every JSON session of Pyramid.
"""

import base64
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

Tagged = tuple[type, str, Callable[[Any], str], Callable[[str], Any]]

# A datetime is a date to isinstance, so its line comes first.
_TAGS: tuple[Tagged, ...] = (
    (datetime, "$datetime", datetime.isoformat, datetime.fromisoformat),
    (date, "$date", date.isoformat, date.fromisoformat),
    (UUID, "$uuid", str, UUID),
    (Decimal, "$decimal", str, Decimal),
    (float, "$float", repr, float),
    (bytes, "$bytes", lambda value: base64.b64encode(value).decode(), base64.b64decode),
)
_DECODERS = {tag: decode for _, tag, _, decode in _TAGS}
_TEXT = "$text"
_DICT = "$dict"


class Unserializable(TypeError):
    """A value that a session cannot keep; the message says where it is and what is allowed."""


def dumps(value: Any, where: str) -> str:
    """The JSON text of a session's value, the same for equal values.

    Raises `Unserializable`; `where` names the value in its message.
    """
    try:
        return to_text(_encode(value, where))
    except RecursionError:
        raise Unserializable(f"{where}: it is nested too deeply, or contains itself") from None
    except ValueError as error:
        # Python limits how long a whole number may get as text.
        raise Unserializable(f"{where}: {error}") from None


def to_text(value: Any) -> str:
    """The one spelling of a value that is JSON already."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def loads(text: str) -> Any:
    """The value of a JSON text that `dumps` made; raises ValueError for any other tag."""
    return decode(json.loads(text))


def check_key(key: Any) -> None:
    """Raises `Unserializable` for what cannot be a key: PostgreSQL's JSON knows no NUL."""
    if not isinstance(key, str):
        raise Unserializable(f"session key {key!r}: keys are strings")
    if not _is_plain(key):
        raise Unserializable(f"session key {key!r}: keys have no NUL and no surrogates")


def _is_kept(number: float) -> bool:
    """PostgreSQL's JSON gives 1e+16 back as a whole number, and -0.0 without its sign."""
    return "e" not in repr(number) and repr(number) != "-0.0"


def _is_plain(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _encode(value: Any, where: str) -> Any:
    match value:
        case None | bool() | int():
            return value
        case str():
            return value if _is_plain(value) else {_TEXT: _encode_text(value)}
        case float():
            if not math.isfinite(value):
                raise Unserializable(f"{where}: {value!r} is not a number that JSON can carry")
            if _is_kept(value):
                return value
        case list() | tuple():
            return [_encode(item, f"{where}[{index}]") for index, item in enumerate(value)]
        case Mapping():
            return _encode_mapping(value, where)
    for kind, tag, encode, _ in _TAGS:
        if isinstance(value, kind):
            return {tag: encode(value)}
    raise Unserializable(
        f"{where}: a session cannot keep a {type(value).__name__}; it keeps what JSON can carry, "
        "and datetime, date, UUID, Decimal and bytes"
    )


def _encode_mapping(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    encoded = {}
    for key, item in value.items():
        if not isinstance(key, str) or not _is_plain(key):
            raise Unserializable(f"{where}[{key!r}]: keys are strings without NUL and surrogates")
        encoded[key] = _encode(item, f"{where}[{key!r}]")
    return {_DICT: encoded} if len(encoded) == 1 and next(iter(encoded))[:1] == "$" else encoded


def decode(value: Any) -> Any:
    """The value that parsed JSON stands for; raises ValueError for a tag that is not known."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(tag, content)] = value.items()
        if tag[:1] == "$":
            return _decode_tagged(tag, content)
    return {key: decode(item) for key, item in value.items()}


def _decode_tagged(tag: str, content: Any) -> Any:
    if tag == _DICT and isinstance(content, dict):
        return {key: decode(item) for key, item in content.items()}
    if tag == _TEXT and isinstance(content, str):
        return _decode_text(content)
    if tag in _DECODERS and isinstance(content, str):
        return _DECODERS[tag](content)
    raise ValueError(f"unknown tag {tag!r} in a session's data")


def _encode_text(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def _decode_text(content: str) -> str:
    return base64.b64decode(content).decode("utf-8", "surrogatepass")
