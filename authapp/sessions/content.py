"""The values in a session, and how they differ from those that are stored."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from authapp.domain.sessions import DataChange, SessionRecord
from authapp.sessions import codec
from authapp.sessions.errors import SessionTooLarge

log = logging.getLogger(__name__)

KEY_SHOWN_LENGTH = 100


class UnreadableContent(ValueError):
    """Something else has written the data, and they cannot be parsed at all."""


class Content:
    """`values` are what the request sees and changes; what was stored is remembered as texts."""

    def __init__(
        self, stored: Mapping[str, Any] | None = None, name: str = "a new session"
    ) -> None:
        """`stored` is parsed JSON, `name` says in the log whose it is.

        A value that something else wrote, and nobody can read, is left out, and stays as it is
        unless another takes its place.
        """
        self._stored = dict(stored or {})
        self._unreadable: set[str] = set()
        self.values: dict[str, Any] = {}
        for key, value in self._stored.items():
            try:
                self.values[key] = codec.decode(value)
            except (ValueError, ArithmeticError, RecursionError):
                log.warning("%s: the value of %r cannot be read", name, key)
                self._unreadable.add(key)

    @classmethod
    def of(cls, record: SessionRecord) -> "Content":
        """Raises `UnreadableContent`."""
        try:
            return cls(json.loads(record.data), f"session {record.id}")
        except (ValueError, RecursionError):
            raise UnreadableContent from None

    def as_stored(self, record: SessionRecord) -> "Content":
        """What is stored by now, others' changes too; in the same objects where they say the same,
        since the view may hold some of them."""
        stored, mine = Content.of(record), self.encoded()
        for key, text in stored.encoded().items():
            if mine.get(key) == text:
                stored.values[key] = self.values[key]
        return stored

    def encoded(self) -> dict[str, str]:
        """The values as JSON texts; raises `codec.Unserializable`, which names the key."""
        return {key: codec.dumps(value, _name(key)) for key, value in self.values.items()}

    def change(self, max_size: int) -> DataChange:
        """What differs from what is stored; raises `SessionTooLarge` where that is too much."""
        before = {key: codec.to_text(value) for key, value in self._stored.items()}
        after = self.encoded()
        for key in self._unreadable - after.keys():
            del before[key]
        changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        if changed:
            check_size(after, max_size)
        return DataChange(
            before={key: before.get(key) for key in changed},
            after={key: after.get(key) for key in changed},
        )


def check(key: str, value: Any) -> None:
    """Raises `codec.Unserializable` for what a session cannot keep."""
    codec.check_key(key)
    codec.dumps(value, _name(key))


def check_size(encoded: Mapping[str, str], max_size: int) -> None:
    """Raises `SessionTooLarge` for more than `max_size` bytes."""
    sizes = {key: len(key.encode()) + len(text.encode()) for key, text in encoded.items()}
    size = sum(sizes.values())
    if size > max_size:
        largest = max(sizes, key=lambda key: sizes[key])
        raise SessionTooLarge(
            f"the session's data takes {size} bytes, and session.max_size is {max_size}; "
            f"the largest key is {shorten(largest)} with {sizes[largest]}"
        )


def shorten(key: str) -> str:
    """A key as a message shows it: a key of a megabyte does not belong into a log."""
    return repr(key if len(key) <= KEY_SHOWN_LENGTH else key[:KEY_SHOWN_LENGTH] + "…")


def _name(key: str) -> str:
    return f"session[{shorten(key)}]"
