"""The purge as a thread of each process, of which only one at a time does the work."""

import logging
import threading
from datetime import timedelta

from authapp.domain.sessions import SessionDirectory, purge

log = logging.getLogger(__name__)


class Purger(threading.Thread):
    """Deletes expired sessions once an interval; a daemon, so that it keeps no process alive."""

    def __init__(self, directory: SessionDirectory, interval: timedelta) -> None:
        super().__init__(name="authapp-purger", daemon=True)
        self._directory = directory
        self._interval = interval.total_seconds()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._interval):
            self.purge_once()

    def purge_once(self) -> int:
        """Deletes what has expired, and says how many those were; an error is for the log, and
        for the next round."""
        try:
            deleted = sum(purge(self._directory, exclusive=True))
        except Exception:
            log.exception("the purge of expired sessions failed")
            return 0
        if deleted:
            log.info("purged %d expired sessions", deleted)
        return deleted

    def stop(self) -> None:
        self._stopped.set()
