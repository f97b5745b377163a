"""Clearing away what is over: in short transactions, so that nobody waits for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping

PURGE_BATCH_SIZE = 1000

# By the name of what is purged: does it, and yields how many rows each transaction has deleted.
Purges = Mapping[str, Callable[[], Iterable[int]]]


def in_batches(delete: Callable[[int], int], batch_size: int = PURGE_BATCH_SIZE) -> Iterator[int]:
    """Calls `delete` for as long as it deletes anything, and yields how many that was each time."""
    while deleted := delete(batch_size):
        yield deleted
