"""The purge as a thread of each process; of sessions, only one at a time does the work."""

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta

from authapp.domain.purging import Purges

log = logging.getLogger(__name__)


class Purger(threading.Thread):
    """Deletes what has expired once an interval; a daemon, so that it keeps no process alive."""

    def __init__(self, purges: Purges, interval: timedelta) -> None:
        super().__init__(name="authapp-purger", daemon=True)
        self._purges = purges
        self._interval = interval.total_seconds()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._interval):
            self.purge_once()

    def purge_once(self) -> int:
        """Deletes what has expired, and says how many rows those were; an error is for the log,
        and for the next round."""
        return sum(purge_one(name, purge) for name, purge in self._purges.items())

    def stop(self) -> None:
        self._stopped.set()


def purge_one(name: str, purge: Callable[[], Iterable[int]]) -> int:
    try:
        deleted = sum(purge())
    except Exception:
        log.exception("the purge of expired %s failed", name)
        return 0
    if deleted:
        log.info("purged %d expired %s", deleted, name)
    return deleted
