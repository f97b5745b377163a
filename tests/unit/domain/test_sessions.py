from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from authapp.domain.sessions import SessionDirectory, SessionRecord, purge

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN_HASH = b"\xab" * 32


def record():
    return SessionRecord(UUID(int=1), TOKEN_HASH, None, "{}", True, NOW, NOW, False)


def test_a_records_repr_which_may_end_in_a_log_does_not_show_the_token():
    assert repr(TOKEN_HASH) not in repr(record())
    assert TOKEN_HASH.hex() not in repr(record())


class Expired:
    """The only part of a directory that a purge needs: so many sessions that have expired."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.calls: list[tuple[int, bool]] = []

    def purge(self, batch_size: int, *, exclusive: bool) -> int:
        self.calls.append((batch_size, exclusive))
        deleted = min(batch_size, self.count)
        self.count -= deleted
        return deleted

    def batches(self, **options: Any) -> Iterator[int]:
        return purge(cast(SessionDirectory, self), batch_size=10, **options)


@pytest.mark.parametrize(
    ("count", "batches"), [(0, []), (1, [1]), (10, [10]), (25, [10, 10, 5]), (30, [10, 10, 10])]
)
def test_a_purge_goes_on_in_batches_until_nothing_is_left(count, batches):
    expired = Expired(count)

    assert list(expired.batches()) == batches
    assert expired.count == 0


def test_a_purge_deletes_no_further_than_it_is_asked_to():
    expired = Expired(30)

    next(expired.batches())

    assert expired.count == 20


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_purge_passes_on_whether_it_is_to_be_alone(exclusive):
    expired = Expired(1)

    list(expired.batches(exclusive=exclusive))

    assert set(expired.calls) == {(10, exclusive)}
