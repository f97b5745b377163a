"""The delivery as a thread of each process: at work as soon as a request has put a letter out."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

log = logging.getLogger(__name__)


class Courier(threading.Thread):
    """Calls `deliver` when it is woken, and once an interval for what failed before and for what
    other processes have left; a daemon, so that it keeps no process alive."""

    def __init__(self, deliver: Callable[[], object], interval: timedelta) -> None:
        super().__init__(name="authapp-courier", daemon=True)
        self._deliver = deliver
        self._interval = interval.total_seconds()
        self._woken = threading.Event()
        self._is_stopped = False
        self._beginning = threading.Lock()

    def begin(self) -> None:
        """Starts the thread, unless that has been done before."""
        with self._beginning:
            if self.ident is None:
                self.start()

    def run(self) -> None:
        while True:
            # Cleared before the work: who wakes it meanwhile has put something there that this
            # round may not have seen, and so causes another one.
            self._woken.clear()
            if self._is_stopped:
                return
            self.deliver_once()
            self._woken.wait(self._interval)

    def deliver_once(self) -> None:
        """An error, as when the database is down, is for the log, and for the next round."""
        try:
            self._deliver()
        except Exception:
            log.exception("the delivery of letters failed")

    def wake(self) -> None:
        """Returns at once; begins where nothing has yet."""
        self._woken.set()
        self.begin()

    def stop(self) -> None:
        self._is_stopped = True
        self._woken.set()
