"""Sending what is in the outbox: each letter at least once, and hardly ever twice.

What ends between the sending of a letter and its removal from the outbox sends it again when the
lease is over. The message has the same id then, by which mail programs know it for the same.
"""

import logging
import traceback
from dataclasses import dataclass
from datetime import timedelta

from authapp.domain.mail import Outbox, PostedLetter, Transport, TransportError, Writer

log = logging.getLogger(__name__)

# What is claimed waits for what was claimed with it, so it is little at a time.
BATCH_SIZE = 10
# Longer than a transport takes at most for a message. It begins anew with each.
LEASE = timedelta(minutes=5)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
# With these pauses it takes three days until a letter is given up.
MAX_ATTEMPTS = 78


@dataclass(slots=True)
class Deliveries:
    """What has become of the letters that were due. `dropped`: there was nothing to be said any
    more; `postponed`: to be tried again; `given_up`: kept for the operator."""

    sent: int = 0
    dropped: int = 0
    postponed: int = 0
    given_up: int = 0

    @property
    def all_went_well(self) -> bool:
        return not self.postponed and not self.given_up


class Delivery:
    """Delivers letters. Any number of these may be at work at the same time."""

    def __init__(self, outbox: Outbox, writer: Writer, transport: Transport) -> None:
        self._outbox = outbox
        self._writer = writer
        self._transport = transport

    def deliver(self) -> Deliveries:
        """Delivers all letters that are due."""
        deliveries = Deliveries()
        while claimed := self._outbox.claim(BATCH_SIZE, LEASE):
            for posted in claimed:
                self._deliver(posted, deliveries)
        return deliveries

    def _deliver(self, posted: PostedLetter, deliveries: Deliveries) -> None:
        try:
            message = self._writer.write(posted)
            if message is not None:
                # Only now: who withdraws the letter from here on makes its token void as well.
                if not self._outbox.hold(posted, LEASE):
                    deliveries.dropped += 1
                    return
                self._transport.send(message)
        except TransportError as error:
            self._failed(posted, str(error), deliveries, permanent=error.permanent)
            return
        except Exception as error:
            # Where, but not what: the error's own words may quote the message, and so a token.
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s: %s\n%s", _named(posted), type(error).__qualname__, frames)
            self._failed(posted, type(error).__qualname__, deliveries)
            return
        self._outbox.sent(posted.id)
        if message is None:
            deliveries.dropped += 1
        else:
            deliveries.sent += 1
            log.info("%s: sent", _named(posted))

    def _failed(
        self,
        posted: PostedLetter,
        reason: str,
        deliveries: Deliveries,
        *,
        permanent: bool = False,
    ) -> None:
        if permanent or posted.attempt >= MAX_ATTEMPTS:
            self._outbox.failed(posted.id, reason, None)
            deliveries.given_up += 1
            log.error("%s: given up: %s", _named(posted), reason)
        else:
            pause = pause_after(posted.attempt)
            self._outbox.failed(posted.id, reason, pause)
            deliveries.postponed += 1
            log.warning("%s: to be tried again in %s: %s", _named(posted), pause, reason)


def pause_after(attempt: int) -> timedelta:
    """Twice as long after each attempt, up to the longest."""
    factor: int = 2 ** min(attempt - 1, 20)  # Far beyond the longest pause.
    return min(FIRST_PAUSE * factor, LONGEST_PAUSE)


def _named(posted: PostedLetter) -> str:
    """By what the operator finds it in the outbox; addresses have no place in a log."""
    return f"letter {posted.id} ({posted.letter.kind}, attempt {posted.attempt})"
